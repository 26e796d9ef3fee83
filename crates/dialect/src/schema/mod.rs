//! JSON Schema between dialects: what each accepts, and the way from one to the other.

pub mod openai;
