//! What may be said of every level on a command line: models, limits, the plan.

use std::path::PathBuf;

use clap::Args;
use lingate_metering::Id;
use lingate_metering::limit::Limit;
use lingate_metering::tenant::Rules;

use crate::Failed;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RulesArgs {
    /// Only these models may be asked for: names and patterns (gpt-*), with commas; '' for all.
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// These models may not be asked for: names and patterns, with commas; '' for none.
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    deny_models: Option<Vec<String>>,
    /// A limit, such as requests=60/minute, tokens=1000000/day, cost=5/month, concurrency=5, with more behind commas
    /// (cost=5/month,zone=Asia/Shanghai,downgrade=gpt-4o-mini). May be given several times; takes the place of all limits.
    #[arg(long = "limit", value_name = "LIMIT", conflicts_with_all = ["limits", "no_limits"])]
    limit: Vec<String>,
    /// Limits from a file, a list as below `limits` in lingate.yml. Takes the place of all limits.
    #[arg(long, value_name = "FILE", conflicts_with = "no_limits")]
    limits: Option<PathBuf>,
    /// Take all limits away.
    #[arg(long)]
    no_limits: bool,
    /// The plan whose prices are charged; '' for that of the level above.
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
}

impl RulesArgs {
    /// Lays what was said over the rules of somebody.
    pub(crate) fn apply(&self, owner: Id, rules: &mut Rules) -> Result<(), Failed> {
        let list = |said: &[String]| -> Vec<String> {
            let said = said.iter().map(|model| model.trim());
            said.filter(|model| !model.is_empty())
                .map(str::to_owned)
                .collect()
        };
        if let Some(models) = &self.models {
            rules.allow_models = list(models);
        }
        if let Some(models) = &self.deny_models {
            rules.deny_models = list(models);
        }
        if let Some(plan) = &self.plan {
            rules.plan = Some(plan.clone()).filter(|plan| !plan.is_empty());
        }
        if let Some(limits) = self.limits(owner)? {
            rules.limits = limits;
        }
        Ok(())
    }

    fn limits(&self, owner: Id) -> Result<Option<Vec<Limit>>, Failed> {
        if self.no_limits {
            return Ok(Some(Vec::new()));
        }
        let (text, name) = if let Some(file) = &self.limits {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failed::new(format!("{}: {error}", file.display())))?;
            (text, file.display().to_string())
        } else if self.limit.is_empty() {
            return Ok(None);
        } else {
            let limits = self.limit.iter().map(|limit| in_yaml(limit));
            let limits = limits.collect::<Result<Vec<_>, _>>()?;
            (limits.join("\n"), "--limit".to_owned())
        };
        lingate_config::limits(&text, &name, &[&owner.to_string()])
            .map(Some)
            .map_err(|problems| Failed::new(problems.to_string()))
    }
}

/// `requests=60/minute,model=gpt-*` as an entry of a list in YAML.
fn in_yaml(limit: &str) -> Result<String, Failed> {
    let wrong = || {
        Failed::usage(format!(
            "--limit '{limit}': write MEASURE=AMOUNT/TIME, such as requests=60/minute, cost=5/month or concurrency=5"
        ))
    };
    let (first, more) = limit.split_once(',').unwrap_or((limit, ""));
    let (measure, rest) = first.split_once('=').ok_or_else(wrong)?;
    let (amount, per) = match rest.split_once('/') {
        Some((amount, per)) => (amount, Some(per)),
        None => (rest, None),
    };
    let quoted = |text: &str| serde_json::Value::from(text.trim()).to_string();
    let mut entry = format!("- {{{}: {}", quoted(measure), quoted(amount));
    if let Some(per) = per {
        entry = format!("{entry}, per: {}", quoted(per));
    }
    for pair in more.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        entry = format!("{entry}, {}: {}", quoted(name), quoted(value));
    }
    entry.push('}');
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_command_line_are_those_of_the_file() {
        for (limit, expect) in [
            (
                "requests=60/minute",
                r#"- {"requests": "60", per: "minute"}"#,
            ),
            ("concurrency=5", r#"- {"concurrency": "5"}"#),
            (
                "cost=0.5/month,zone=Asia/Shanghai",
                r#"- {"cost": "0.5", per: "month", "zone": "Asia/Shanghai"}"#,
            ),
        ] {
            assert_eq!(in_yaml(limit).unwrap(), expect);
        }
        for bad in ["", "requests", "requests=60/minute,model"] {
            assert_eq!(in_yaml(bad).unwrap_err().code, 2, "{bad}");
        }
    }
}
