//! How long JSON is once it is written, without writing it.

use serde_json::Value;

/// About how many bytes a value takes: characters that JSON escapes count once, numbers at their
/// longest.
#[must_use]
pub fn json_size(value: &Value) -> usize {
    const NUMBER: usize = 20;
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => NUMBER,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => 2 + list.iter().map(|value| json_size(value) + 1).sum::<usize>(),
        // Two quotes, a colon and a comma.
        Value::Object(map) => {
            2 + map.iter().map(|(key, value)| key.len() + 4 + json_size(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_about_as_long_as_it_is_written() {
        let value = json!({"name": "Mia", "on": true, "rooms": [{"id": "a".repeat(32)}, {"id": null}]});
        let written = value.to_string().len();
        assert!((written..written + 10).contains(&json_size(&value)), "{} {written}", json_size(&value));
    }
}
