//! The list that OpenAI's clients read.

use lingate_dialect::json::Object;

use super::served::Listed;

pub(super) fn list(models: &[Listed]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut list = Object::new(&mut out);
    list.string("object", "list");
    let mut data = list.array("data");
    for model in models {
        one(&mut data.object(), model);
    }
    drop(data);
    drop(list);
    out
}

pub(super) fn one(object: &mut Object<'_>, model: &Listed) {
    object.string("id", &model.id);
    object.string("object", "model");
    // The same at every time: clients compare lists.
    object.u64(
        "created",
        model.facts.released.and_then(seconds).unwrap_or(0),
    );
    object.string("owned_by", &model.owner);
    object.some_u64("context_length", model.facts.context);
    let mut doors = object.array("supported_endpoint_types");
    for dialect in model.dialects() {
        doors.string(dialect.endpoint_type());
    }
}

/// Midnight of a day such as `2026-07-24`, in seconds since 1970.
fn seconds(day: &str) -> Option<u64> {
    let mut numbers = day.split('-').map(str::parse::<u64>);
    let (year, month, day) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    // March is the first month, so that a leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days.checked_sub(719_469)? * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted() {
        for (day, expect) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2026-07-24", Some(1_784_851_200)),
            ("2026-07", None),
            ("0001-01-01", None),
        ] {
            assert_eq!(seconds(day), expect, "{day}");
        }
    }
}
