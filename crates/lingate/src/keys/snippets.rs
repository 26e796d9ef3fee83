//! How clients are told of a key.

/// Lines to paste, for a gateway at `url`.
pub(super) fn snippets(url: &str, key: &str) -> Vec<String> {
    let url = url.trim_end_matches('/');
    let text = format!(
        "\
Claude Code    ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={key} claude --model MODEL
Codex          LINGATE_API_KEY={key} codex, and in ~/.codex/config.toml:
                 model = \"MODEL\"
                 model_provider = \"lingate\"
                 [model_providers.lingate]
                 name = \"Lingate\"
                 base_url = \"{url}/v1\"
                 wire_api = \"responses\"
                 env_key = \"LINGATE_API_KEY\"
Gemini CLI     GOOGLE_GEMINI_BASE_URL={url} GEMINI_API_KEY={key} gemini --model MODEL
OpenAI SDK     OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}
Anthropic SDK  ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}"
    );
    text.lines().map(str::to_owned).collect()
}
