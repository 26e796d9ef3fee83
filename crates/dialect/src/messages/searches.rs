//! Searches of other vendors, told as Anthropic tells its own: a block that one was asked, and a block with what it found.

use crate::Reply;
use crate::hub::{Citation, Opaque};
use crate::search::{self, Page};

/// How many pages of an answer are remembered.
const MOST: usize = 100;

/// What is known of the searches of one answer.
#[derive(Debug, Default)]
pub(super) struct Searches {
    told: u32,
    /// Ids of those that wait for their pages.
    waiting: Vec<String>,
    cited: Vec<Page>,
}

impl Searches {
    /// Hands out the blocks of a search; `false` when the part tells of none. A search whose pages are not told with it waits for
    /// what the answer cites.
    pub(super) fn tell(
        &mut self,
        opaque: &Opaque,
        reply: &Reply,
        mut write: impl FnMut(&[u8]),
    ) -> bool {
        let Some(search) = search::of(opaque) else {
            return false;
        };
        let mut pages = search.pages;
        let queries = if search.queries.is_empty() {
            vec![String::new()]
        } else {
            search.queries
        };
        for query in queries {
            let id = reply.mint.id("srvtoolu_", 1_000 + self.told);
            self.told += 1;
            let mut block = Vec::new();
            search::write_use(&mut block, &id, &query);
            write(&block);
            match &mut pages {
                Some(pages) => {
                    let mut block = Vec::new();
                    search::write_result(&mut block, &id, pages);
                    write(&block);
                    // Which query found which page is not told: all stand with the first.
                    pages.clear();
                }
                None => self.waiting.push(id),
            }
        }
        true
    }

    /// Remembers a page that the answer cites.
    pub(super) fn cite(&mut self, citation: &Citation) {
        let Some(url) = &citation.url else {
            return;
        };
        if self.cited.len() < MOST && !self.cited.iter().any(|page| page.url == *url) {
            self.cited.push(Page {
                url: url.clone(),
                title: citation.title.clone(),
            });
        }
    }

    /// Hands out the results of those that wait: what was cited, with the first of them.
    pub(super) fn settle(&mut self, mut write: impl FnMut(&[u8])) {
        for id in std::mem::take(&mut self.waiting) {
            let mut block = Vec::new();
            search::write_result(&mut block, &id, &self.cited);
            self.cited.clear();
            write(&block);
        }
    }

    /// How many were told.
    pub(super) fn told(&self) -> u64 {
        u64::from(self.told)
    }
}
