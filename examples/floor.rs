//! The yardstick of `benches/load`: bare hyper that sends a file's bytes with the headers of the page.
//!
//! `floor ADDRESS FILE [gzip]` prints the URL it serves and runs until it is killed.

use std::{convert::Infallible, env, error::Error, fs};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, task};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (address, file, gzip) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [address, file] => (address, file, false),
        [address, file, "gzip"] => (address, file, true),
        _ => return Err("usage: floor ADDRESS FILE [gzip]".into()),
    };
    let page = Bytes::from(fs::read(file)?);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(serve(address, page, gzip))?)
}

async fn serve(address: &str, page: Bytes, gzip: bool) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let page = page.clone();
        task::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let answer = answer(page.clone(), gzip);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that hangs up in between is no concern here.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(page: Bytes, gzip: bool) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(page));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}
