//! What can be had in several forms: JSON, CSV for spreadsheets, HTML for the printer.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use crate::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
    Html,
}

impl Form {
    /// What `format` asks for, else the first of these that `Accept` names, else JSON.
    pub(crate) fn wanted(format: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match format {
            Some("json") => return Ok(Self::Json),
            Some("csv") => return Ok(Self::Csv),
            Some("html") => return Ok(Self::Html),
            Some(_) => {
                return Err(Problem::invalid("format", "expected json, csv or html"));
            }
            None => {}
        }
        let accept = headers.get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or("");
        let named =
            accept
                .split(',')
                .find_map(|kind| match kind.split(';').next().unwrap_or("").trim() {
                    "application/json" => Some(Self::Json),
                    "text/csv" => Some(Self::Csv),
                    "text/html" => Some(Self::Html),
                    _ => None,
                });
        Ok(named.unwrap_or(Self::Json))
    }
}

/// Rows for a spreadsheet (RFC 4180).
#[derive(Debug, Default)]
pub(crate) struct Sheet(String);

impl Sheet {
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut sheet = Self(String::new());
        sheet.row(columns);
        sheet
    }

    pub(crate) fn row(&mut self, cells: &[&str]) {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            self.cell(cell);
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, cell: &str) {
        // What a spreadsheet would take for a formula is kept from being one; a number is none.
        let is_formula =
            cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        let guard = if is_formula { "'" } else { "" };
        if cell.contains([',', '"', '\n', '\r']) || is_formula {
            self.0.push('"');
            self.0.push_str(guard);
            self.0.push_str(&cell.replace('"', "\"\""));
            self.0.push('"');
        } else {
            self.0.push_str(cell);
        }
    }

    /// What was written so far, for one that is sent in pieces.
    pub(crate) fn text(self) -> String {
        self.0
    }

    /// As a file of this name.
    pub(crate) fn file(self, name: &str) -> Response {
        let mut response = self.0.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        );
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_what_they_are() {
        let mut sheet = Sheet::new(&["a", "b"]);
        sheet.row(&["=1+1", "-3.5"]);
        sheet.row(&["say \"hi\", you", "two\nlines"]);
        assert_eq!(
            sheet.0,
            "a,b\r\n\"'=1+1\",-3.5\r\n\"say \"\"hi\"\", you\",\"two\nlines\"\r\n"
        );
    }

    #[test]
    fn the_form_is_what_is_asked_for() {
        let accepting = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            headers
        };
        for (format, accept, form) in [
            (None, "*/*", Form::Json),
            (None, "text/html,application/xhtml+xml", Form::Html),
            (None, "text/csv;q=0.9", Form::Csv),
            (Some("json"), "text/html", Form::Json),
            (Some("html"), "", Form::Html),
        ] {
            assert_eq!(Form::wanted(format, &accepting(accept)).unwrap(), form);
        }
        assert!(Form::wanted(Some("pdf"), &HeaderMap::new()).is_err());
    }
}
