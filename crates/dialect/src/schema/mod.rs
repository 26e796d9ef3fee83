//! JSON Schema between dialects: what each accepts, and the way from one to the other.

pub mod anthropic;
pub mod gemini;
pub mod openai;
