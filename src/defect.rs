//! A defect that panics is caught where one collection is asked or read: it is that collection's failure and nobody else's.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::{self, AssertUnwindSafe, Location},
    pin::pin,
    sync::Once,
    task::Poll,
};

thread_local! {
    /// Whether a panic of this thread is caught here.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// Where the last one was that is.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// A panic that was caught. What it said is not kept: it may hold what a document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The file and the line.
    pub place: String,
}

/// Does `work`, whose half-done state nobody may use after a defect.
///
/// # Errors
/// Where it panics.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Defect> {
    static QUIETED: Once = Once::new();
    QUIETED.call_once(quiet);
    let outer = IS_CAUGHT.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outer);
    done.map_err(|panicked| match panicked.downcast::<Defect>() {
        Ok(elsewhere) => *elsewhere,
        Err(_) => Defect { place: PLACE.take().unwrap_or_else(|| "an unknown place".to_owned()) },
    })
}

/// The same of work that waits.
///
/// # Errors
/// Where it panics.
pub async fn caught_in<T>(work: impl Future<Output = T>) -> Result<T, Defect> {
    let mut work = pin!(work);
    poll_fn(|context| match caught(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(defect) => Poll::Ready(Err(defect)),
    })
    .await
}

/// Hands on a defect that was caught on another thread, to whoever catches those of this one.
pub fn hand_on(defect: Defect) -> ! {
    panic::resume_unwind(Box::new(defect))
}

/// From now on panics that are caught here print nothing, and leave their place; all others do what they did.
fn quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if IS_CAUGHT.get() {
            PLACE.set(panic.location().map(place));
        } else {
            usual(panic);
        }
    }));
}

/// File and line, without where the sources of other crates lie on the machine that built this.
fn place(location: &Location<'_>) -> String {
    let file = location.file();
    let file =
        file.split_once("/registry/src/").and_then(|(_, file)| file.split_once('/')).map_or(file, |(_, file)| file);
    format!("{file}:{}", location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_known_by_its_place_and_not_by_its_words() {
        assert_eq!(caught(|| 5), Ok(5));
        let empty: Vec<u32> = vec![];
        let defect = caught(|| empty.iter().max().expect("78 kg")).unwrap_err();
        assert!(defect.place.starts_with("src/defect.rs:") && !defect.place.contains("78"), "{defect:?}");
        let waits = async {
            tokio::task::yield_now().await;
            let out_of_bounds = empty.len();
            empty[out_of_bounds]
        };
        assert!(caught_in(waits).await.unwrap_err().place.starts_with("src/defect.rs:"));
        let inner = caught(|| (caught(|| empty[7]).is_err(), empty[8]));
        assert!(inner.is_err(), "one within another");
        let elsewhere = tokio::task::spawn_blocking(|| caught(|| Vec::<u32>::new()[9])).await.unwrap().unwrap_err();
        assert_eq!(caught(|| hand_on(elsewhere.clone())), Err(elsewhere), "one of another thread");
    }
}
