//! The pieces that an estimate is made of: how many there are, or what each weighs.

use serde::Deserialize;

/// One number for each kind of piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// The request itself.
    pub request: f64,
    /// There are instructions.
    pub system: f64,
    pub message: f64,
    /// There are tools.
    pub tools: f64,
    pub tool: f64,
    /// A tool must be called.
    pub forced: f64,
    /// The vendor runs this one.
    pub server_tool: f64,
    pub call: f64,
    pub result: f64,
    /// The answer has a form.
    pub output: f64,
    pub thinking: f64,

    // Text.
    /// A run of letters of one case, or with a capital in front.
    pub word: f64,
    /// Letters of a word beyond the sixth.
    pub long: f64,
    /// Letters of a word beyond the twelfth.
    pub longer: f64,
    pub digit: f64,
    /// Up to three digits together.
    pub digits: f64,
    /// A run of other ASCII signs, and each of them.
    pub signs: f64,
    pub sign: f64,
    /// A run of line ends, and of two or more spaces.
    pub lines: f64,
    pub indent: f64,
    /// A character of these scripts.
    pub han: f64,
    pub kana: f64,
    pub hangul: f64,
    /// A letter of any other alphabet.
    pub letter: f64,
    pub symbol: f64,

    // Reasoning of earlier turns: its text, and hundreds of bytes of its proof, which stands for more than is shown.
    pub thought: f64,
    pub proof: f64,

    // Declarations of tools: what is said in them, and their form.
    pub described: f64,
    pub key: f64,
    pub value: f64,
    pub nesting: f64,

    // The schema of the answer.
    pub output_word: f64,
    pub output_sign: f64,

    // Media. Images are in tokens already.
    pub image: f64,
    pub page: f64,
    /// Kilobytes.
    pub sound: f64,
    pub film: f64,
}

impl Terms {
    /// Each piece with its name.
    pub fn named(&self) -> [(&'static str, f64); 37] {
        // Named one by one, so that a new piece without a weight does not compile.
        let Self {
            request,
            system,
            message,
            tools,
            tool,
            forced,
            server_tool,
            call,
            result,
            output,
            thinking,
            word,
            long,
            longer,
            digit,
            digits,
            signs,
            sign,
            lines,
            indent,
            han,
            kana,
            hangul,
            letter,
            symbol,
            thought,
            proof,
            described,
            key,
            value,
            nesting,
            output_word,
            output_sign,
            image,
            page,
            sound,
            film,
        } = *self;
        [
            ("request", request),
            ("system", system),
            ("message", message),
            ("tools", tools),
            ("tool", tool),
            ("forced", forced),
            ("server_tool", server_tool),
            ("call", call),
            ("result", result),
            ("output", output),
            ("thinking", thinking),
            ("word", word),
            ("long", long),
            ("longer", longer),
            ("digit", digit),
            ("digits", digits),
            ("signs", signs),
            ("sign", sign),
            ("lines", lines),
            ("indent", indent),
            ("han", han),
            ("kana", kana),
            ("hangul", hangul),
            ("letter", letter),
            ("symbol", symbol),
            ("thought", thought),
            ("proof", proof),
            ("described", described),
            ("key", key),
            ("value", value),
            ("nesting", nesting),
            ("output_word", output_word),
            ("output_sign", output_sign),
            ("image", image),
            ("page", page),
            ("sound", sound),
            ("film", film),
        ]
    }

    /// The sum of counts times weights.
    pub fn dot(&self, weights: &Self) -> f64 {
        let pairs = self.named().into_iter().zip(weights.named());
        pairs.map(|((_, count), (_, weight))| count * weight).sum()
    }
}
