//! The columns of a price: what each kind of token, and each thing that is not a token, costs.

/// A kind of thing that is paid for. The order is that of the text and of explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Of the prompt, where no other column says something of its own.
    Input,
    /// Of the answer, where no other column says something of its own.
    Output,
    CacheRead,
    /// Kept for five minutes, or for however long the vendor keeps what nobody asked it to keep longer.
    CacheWrite,
    /// Kept for longer: an hour, or twelve where the vendor sells that; as `CacheWrite` if left out.
    CacheWriteLong,
    /// The part of the answer that is reasoning; as `Output` if left out.
    Reasoning,
    AudioIn,
    AudioOut,
    /// Sound of the prompt that a cache held; as `CacheRead` if left out.
    AudioCacheRead,
    ImageIn,
    ImageOut,
    /// Pictures of the prompt that a cache held; as `CacheRead` if left out.
    ImageCacheRead,
    /// Each request, whatever is in it.
    Request,
    /// Each picture of the prompt, where the vendor does not count their tokens.
    ImageGiven,
    /// Each picture of the answer, where the vendor does not count their tokens.
    ImageMade,
    /// Each search of the web, by how much of it the caller wants read.
    SearchLow,
    SearchMedium,
    SearchHigh,
}

impl Column {
    pub const ALL: [Self; 18] = [
        Self::Input,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::Reasoning,
        Self::AudioIn,
        Self::AudioOut,
        Self::AudioCacheRead,
        Self::ImageIn,
        Self::ImageOut,
        Self::ImageCacheRead,
        Self::Request,
        Self::ImageGiven,
        Self::ImageMade,
        Self::SearchLow,
        Self::SearchMedium,
        Self::SearchHigh,
    ];

    pub const SEARCHES: [Self; 3] = [Self::SearchLow, Self::SearchMedium, Self::SearchHigh];

    /// As it is called in `prices.txt`, in `lingate.yml` and in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWriteLong => "cache_write_1h",
            Self::Reasoning => "reasoning",
            Self::AudioIn => "audio_in",
            Self::AudioOut => "audio_out",
            Self::AudioCacheRead => "audio_cache_read",
            Self::ImageIn => "image_in",
            Self::ImageOut => "image_out",
            Self::ImageCacheRead => "image_cache_read",
            Self::Request => "request",
            Self::ImageGiven => "image_given",
            Self::ImageMade => "image_made",
            Self::SearchLow => "search_low",
            Self::SearchMedium => "search_medium",
            Self::SearchHigh => "search_high",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// What its tokens are a part of, and cost as much as where nothing is said of it.
    pub const fn whole(self) -> Option<Self> {
        match self {
            Self::CacheRead | Self::CacheWrite | Self::AudioIn | Self::ImageIn => Some(Self::Input),
            Self::CacheWriteLong => Some(Self::CacheWrite),
            Self::AudioCacheRead | Self::ImageCacheRead => Some(Self::CacheRead),
            Self::Reasoning | Self::AudioOut | Self::ImageOut => Some(Self::Output),
            Self::Input
            | Self::Output
            | Self::Request
            | Self::ImageGiven
            | Self::ImageMade
            | Self::SearchLow
            | Self::SearchMedium
            | Self::SearchHigh => None,
        }
    }

    /// Whether its rate is for a million tokens; else it is for one thing.
    pub const fn is_tokens(self) -> bool {
        (self as usize) < (Self::Request as usize)
    }
}

/// Nano-dollars per million tokens, or for one thing ([`Column::is_tokens`]). `None`: nothing is said of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates([Option<u64>; Column::ALL.len()]);

impl Rates {
    /// Nano-dollars per million tokens of the prompt and of the answer.
    pub fn flat(input: u64, output: u64) -> Self {
        Self::default()
            .with(Column::Input, input)
            .with(Column::Output, output)
    }

    #[must_use]
    pub fn with(mut self, column: Column, rate: u64) -> Self {
        self.set(column, Some(rate));
        self
    }

    pub fn set(&mut self, column: Column, rate: Option<u64>) {
        if let Some(place) = self.0.get_mut(column as usize) {
            *place = rate;
        }
    }

    pub fn get(&self, column: Column) -> Option<u64> {
        self.0.get(column as usize).copied().flatten()
    }

    /// The rate of searches, where it is the same for every kind.
    pub fn search(&self) -> Option<u64> {
        let [low, medium, high] = Column::SEARCHES.map(|column| self.get(column));
        low.filter(|_| low == medium && medium == high)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is said, in the order of the columns.
    pub fn iter(&self) -> impl Iterator<Item = (Column, u64)> + '_ {
        Column::ALL
            .into_iter()
            .filter_map(|column| Some((column, self.get(column)?)))
    }

    /// What this says, and of the rest what `under` says.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        let mut out = *under;
        for (column, rate) in self.iter() {
            out.set(column, Some(rate));
        }
        out
    }
}
