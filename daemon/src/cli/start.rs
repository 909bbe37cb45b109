//! `hil campaign start`, `profile` and `finalists`: three ways to the same request.

use serde_json::{Map, Value};

use super::args::{How, Ways};
use super::campaign::line;
use super::client::Client;
use super::exit::Failure;
use super::watch;
use crate::types::{Campaign, StartRequest};

/// A profile ends by itself when all is measured, long before so many candidates.
const UNTIL_DONE: u32 = 1000;

/// `hil campaign start`
pub fn start(client: &Client, name: &str, strategy: Option<String>, set: &[String], how: How) -> Result<(), Failure> {
    let request = StartRequest { strategy, options: options(set)?, ..request(&how) };
    send(client, name, &request, how.watch)
}

/// `hil campaign profile`
pub fn profile(client: &Client, name: &str, variants: Ways, set: &[String], how: How) -> Result<(), Failure> {
    let request = request(&how);
    let variants = match variants {
        Ways::All => "profile.variants=all",
        Ways::Picked => "profile.variants=picked",
    };
    let set: Vec<String> = std::iter::once(variants.to_owned()).chain(set.iter().cloned()).collect();
    let request = StartRequest {
        r#as: request.r#as.or_else(|| Some(format!("{name}-profile"))),
        strategy: Some("profile".into()),
        budget: request.budget.or(Some(UNTIL_DONE)),
        unlimited: true,
        options: options(&set)?,
        ..request
    };
    send(client, name, &request, how.watch)
}

/// `hil campaign finalists`
pub fn finalists(
    client: &Client,
    name: &str,
    top: u32,
    r#as: Option<String>,
    set: &[String],
    watch: bool,
) -> Result<(), Failure> {
    let origin: Campaign = client.get(&format!("campaigns/{name}"))?;
    let section = origin.section.clone().unwrap_or_else(|| origin.name.clone());
    let request = StartRequest {
        r#as: r#as.or_else(|| Some(format!("{}-finalists", origin.name))),
        budget: Some(top),
        seed: Some(origin.seed),
        strategy: Some("finalists".into()),
        from: Some(origin.name),
        options: options(set)?,
        ..StartRequest::default()
    };
    send(client, &section, &request, watch)
}

fn request(how: &How) -> StartRequest {
    StartRequest { r#as: how.r#as.clone(), budget: how.budget, seed: how.seed, ..StartRequest::default() }
}

fn send(client: &Client, name: &str, request: &StartRequest, watch: bool) -> Result<(), Failure> {
    let campaign: Campaign = client.post(&format!("campaigns/{name}/start"), request)?;
    if watch {
        return watch::run(client, &campaign.name);
    }
    println!("{}", line(&campaign));
    println!("watch it: hil campaign watch {}, or {}", campaign.name, client.url());
    Ok(())
}

/// `key=value` and `table.key=value` as one object; `None` without any.
fn options(set: &[String]) -> Result<Option<Value>, Failure> {
    let mut all = Map::new();
    for text in set {
        let (path, value) = text.split_once('=').ok_or_else(|| not_an_option(text))?;
        // What is no JSON is text: nobody wants to quote a word twice on a command line.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        insert(&mut all, path, value).ok_or_else(|| not_an_option(text))?;
    }
    Ok((!all.is_empty()).then_some(Value::Object(all)))
}

/// `None` when a part of the path has no name or is no table.
fn insert(into: &mut Map<String, Value>, path: &str, value: Value) -> Option<()> {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    if key.is_empty() {
        return None;
    }
    match rest {
        None => drop(into.insert(key.to_owned(), value)),
        Some(rest) => {
            let table = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
            insert(table.as_object_mut()?, rest, value)?;
        }
    }
    Some(())
}

fn not_an_option(text: &str) -> Failure {
    Failure::usage(format!("`{text}` is not KEY=VALUE, such as warm-start=ilp or fine-tune.steps=200"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(set: &[&str]) -> Result<Option<Value>, Failure> {
        options(&set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_json_or_words_and_dots_make_tables() {
        let set = ["warm-start=ilp", "ddpg.warm-up=3", "ddpg.tau=0.5", "in-flight=null", "fine-tune={\"steps\":9}"];
        let expected = json!({
            "warm-start": "ilp", "ddpg": { "warm-up": 3, "tau": 0.5 }, "in-flight": null, "fine-tune": { "steps": 9 },
        });
        assert_eq!(of(&set).expect("options"), Some(expected));
        assert_eq!(of(&[]).expect("none"), None);
    }

    #[test]
    fn what_is_no_option_is_named() {
        for wrong in [["word"], ["=1"], ["a.=1"]] {
            assert!(of(&wrong).expect_err("wrong").message.contains(wrong[0]));
        }
        assert!(of(&["a=1", "a.b=2"]).is_err());
    }
}
