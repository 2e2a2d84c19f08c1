//! "Did you mean": the name that a misspelt one was probably meant to be.

/// With so many mistakes it is another name.
const ANOTHER_NAME: usize = 3;

/// The one of `known` that is spelt most like `name`, in whatever case, if it is like enough.
pub(super) fn nearest(name: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let name = name.to_lowercase();
    let mistakes = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let nearest = known.into_iter().map(|known| (mistakes(known), known)).min_by_key(|(mistakes, _)| *mistakes);
    let too_many = ANOTHER_NAME.min(name.chars().count());
    nearest.filter(|(mistakes, _)| *mistakes < too_many).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised_and_another_one_is_not_taken_for_it() {
        let known = ["daily_sleep", "heartrate", "vO2_max", "tag", "OURA_JOB"];
        for (name, meant) in [
            ("heart_rate", Some("heartrate")),
            ("HEARTRATE", Some("heartrate")),
            ("vo2max", Some("vO2_max")),
            ("dialy_slep", Some("daily_sleep")),
            ("oura_job", Some("OURA_JOB")),
            ("tags", Some("tag")),
            ("OURA_HOST", None),
            ("daily_steps", None),
            ("go", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
