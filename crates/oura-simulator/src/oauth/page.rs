//! The pages that a browser sees: the question for consent, and what is wrong with a request.

use super::applications::{Application, Portal};
use crate::{people::PEOPLE, query::Parameters, replies::Reply};

/// Which parameters of the request travel through the form.
const CARRIED: [&str; 5] = ["client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

/// Asks who signs in, and which of `scopes` they allow.
pub(super) fn consent(application: &Application, request: &Parameters, scopes: &[String]) -> Reply {
    let portal = if application.portal == Portal::Legacy { "legacy portal" } else { "new developer portal" };
    let carried = request.iter().filter(|(name, _)| CARRIED.contains(&name.as_str()));
    let hidden: String = carried.map(|(name, value)| hidden(name, value)).collect();
    let people: String = PEOPLE.iter().map(|person| format!("<option>{}</option>", person.name)).collect();
    let boxes: String = scopes.iter().map(|scope| checkbox(scope)).collect();
    let form = format!(
        "<form method=\"post\" action=\"/oauth/consent\">\n{}{hidden}\
         <p><label>Who are you? <select id=\"person\" name=\"person\">{people}</select></label></p>\n\
         <fieldset><legend>It may read</legend>\n{boxes}</fieldset>\n\
         <p><button id=\"allow\" name=\"action\" value=\"allow\">Allow</button>\n\
         <button id=\"deny\" name=\"action\" value=\"deny\">Deny</button></p>\n</form>",
        self::hidden("portal", application.portal.name()),
    );
    let about = format!("<p>An application of the {portal} asks for your data. Nobody here is real.</p>\n");
    document(200, "Sign in to the simulated Oura", &format!("{about}{form}"))
}

/// Says what is wrong where the browser cannot be sent back.
pub(super) fn error(error: &str, description: &str) -> Reply {
    document(400, error, &format!("<p id=\"description\">{}</p>", escaped(description)))
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escaped(name), escaped(value))
}

fn checkbox(scope: &str) -> String {
    let scope = escaped(scope);
    format!("<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> {scope}</label><br>\n")
}

fn document(status: u16, title: &str, body: &str) -> Reply {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body {{ font: 1rem system-ui; margin: 3rem auto; max-width: 32rem }}</style></head>\n\
         <body><h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    Reply::page(status, page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
