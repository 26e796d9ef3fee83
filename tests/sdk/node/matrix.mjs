// What the official SDKs for Node and the Vercel AI SDK read of each stream of the list: a line of JSON per client, mode and
// stream.

import { createWriteStream, readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { jsonSchema, streamText, tool } from 'ai';

const BASE = process.env.SDK_BASE;
const KEY = 'sk-caller-0123456789';
const ASKED = 'Say something.';
const SCHEMA = { type: 'object', properties: {} };
const TIMEOUT = 20_000;
const AT_ONCE = 4;

// An answer as a program sees it that goes by its SDK's documentation.
const reading = (fields) => ({ text: '', thoughts: '', calls: [], finish: null, usage: null, ...fields });
const need = (holds, message) => { if (!holds) throw new Error(message); };

function chat(tools) {
  const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const request = (model) => ({
    model,
    messages: [{ role: 'user', content: ASKED }],
    tools: tools.map((name) => ({ type: 'function', function: { name, parameters: SCHEMA } })),
    stream_options: { include_usage: true },
  });
  return {
    async events(model) {
      const read = reading();
      const calls = [];
      for await (const chunk of await client.chat.completions.create({ ...request(model), stream: true })) {
        if (chunk.usage) read.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
        for (const { delta, finish_reason: finish } of chunk.choices) {
          read.text += delta.content ?? '';
          read.thoughts += delta.reasoning_content ?? '';
          for (const piece of delta.tool_calls ?? []) {
            calls[piece.index] ??= { id: '', name: '', arguments: '' };
            calls[piece.index].id += piece.id ?? '';
            calls[piece.index].name += piece.function.name ?? '';
            calls[piece.index].arguments += piece.function.arguments ?? '';
          }
          read.finish = finish ?? read.finish;
        }
      }
      read.calls = [...calls].map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }));
      return read;
    },
    async helper(model) {
      const completion = await client.chat.completions.stream(request(model)).finalChatCompletion();
      const [{ message, finish_reason: finish }] = completion.choices;
      return reading({
        text: message.content ?? '',
        thoughts: message.reasoning_content ?? '',
        calls: (message.tool_calls ?? []).map(({ id, function: { name, arguments: given } }) => ({
          id, name, arguments: JSON.parse(given),
        })),
        finish,
        usage: completion.usage && [completion.usage.prompt_tokens, completion.usage.completion_tokens],
      });
    },
  };
}

function responses(tools) {
  const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const request = (model) => ({
    model,
    input: ASKED,
    tools: tools.map((name) => ({ type: 'function', name, parameters: SCHEMA, strict: false })),
    reasoning: { summary: 'auto' },
    store: false,
  });
  const see = (response) => {
    const items = (type) => response.output.filter((item) => item.type === type);
    return reading({
      text: items('message').flatMap((item) => item.content).map((part) => part.text ?? '').join(''),
      thoughts: items('reasoning').map((item) => [...item.summary, ...item.content ?? []].map((part) => part.text).join('\n\n')).join(''),
      calls: items('function_call').map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) })),
      finish: response.incomplete_details?.reason ?? response.status,
      usage: response.usage && [response.usage.input_tokens, response.usage.output_tokens],
    });
  };
  return {
    async events(model) {
      const read = reading();
      const spoken = [];
      const numbers = [];
      let last = null;
      for await (const event of await client.responses.create({ ...request(model), stream: true })) {
        numbers.push(event.sequence_number);
        if (event.type === 'response.output_text.delta') read.text += event.delta;
        else if (event.type === 'response.reasoning_summary_text.delta') read.thoughts += event.delta;
        else if (event.type === 'response.function_call_arguments.delta') {
          spoken[event.output_index] = (spoken[event.output_index] ?? '') + event.delta;
        } else if (event.type === 'response.output_item.done' && event.item.type === 'function_call') {
          need(spoken[event.output_index] === event.item.arguments, 'the deltas say something else');
          read.calls.push({ id: event.item.call_id, name: event.item.name, arguments: JSON.parse(event.item.arguments) });
        } else if (event.type === 'response.failed') throw new Error(event.response.error.message);
        else if (event.type === 'error') throw new Error(event.message);
        else if (['response.completed', 'response.incomplete'].includes(event.type)) last = see(event.response);
      }
      if (!last) return read;
      need(numbers.every((number, place) => number === place), `numbers ${numbers}`);
      need(read.text === last.text && JSON.stringify(read.calls) === JSON.stringify(last.calls), 'the last event says something else');
      return { ...last, thoughts: read.thoughts || last.thoughts };
    },
    async helper(model) {
      const response = await client.responses.stream(request(model)).finalResponse();
      if (response.status === 'failed') throw new Error(response.error.message);
      return see(response);
    },
  };
}

function messages(tools) {
  const client = new Anthropic({ baseURL: BASE, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const request = (model) => ({
    model,
    messages: [{ role: 'user', content: ASKED }],
    tools: tools.map((name) => ({ name, input_schema: SCHEMA })),
    max_tokens: 4096,
    thinking: { type: 'adaptive', display: 'summarized' },
  });
  // What is told later replaces what was told before, where it is there.
  const count = (...told) => {
    const latest = Object.assign({}, ...told.map((usage) => Object.fromEntries(Object.entries(usage).filter(([, value]) => value != null))));
    const prompt = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'];
    return [prompt.reduce((sum, key) => sum + (latest[key] ?? 0), 0), latest.output_tokens];
  };
  return {
    async events(model) {
      const read = reading();
      const spoken = new Map();
      let open = null;
      const counts = [];
      let ended = false;
      for await (const event of await client.messages.create({ ...request(model), stream: true })) {
        if (event.type === 'message_start') {
          counts.push(event.message.usage);
        } else if (event.type === 'content_block_start') {
          need(open === null, 'a block starts while another is open');
          open = event.index;
          if (event.content_block.type === 'tool_use') {
            const { id, name } = event.content_block;
            spoken.set(event.index, { id, name, arguments: '' });
          }
        } else if (event.type === 'content_block_delta') {
          need(open === event.index, 'a delta for a block that is not open');
          read.text += event.delta.text ?? '';
          read.thoughts += event.delta.thinking ?? '';
          if (event.delta.type === 'input_json_delta') spoken.get(event.index).arguments += event.delta.partial_json;
        } else if (event.type === 'content_block_stop') {
          need(open === event.index, 'another block stops than the one that is open');
          open = null;
        } else if (event.type === 'message_delta') {
          read.finish = event.delta.stop_reason;
          counts.push(event.usage);
          read.usage = count(...counts);
        } else if (event.type === 'message_stop') {
          ended = true;
        }
      }
      if (!ended) read.finish = null;
      read.calls = [...spoken.values()].map((call) => ({ ...call, arguments: JSON.parse(call.arguments || '{}') }));
      return read;
    },
    async helper(model) {
      const heard = [];
      const stream = client.messages.stream(request(model))
        .on('contentBlock', (block) => { if (block.type === 'tool_use') heard.push([block.name, JSON.stringify(block.input)]); });
      const message = await stream.finalMessage();
      const said = (type, field) => message.content.filter((block) => block.type === type).map((block) => block[field]).join('');
      const calls = message.content.filter((block) => block.type === 'tool_use');
      // The events of the helper pair a block with what arrived last, so they go wrong where blocks overlap.
      const told = JSON.stringify(calls.map((call) => [call.name, JSON.stringify(call.input)]));
      need(JSON.stringify(heard) === told, `the event contentBlock tells ${JSON.stringify(heard)}`);
      return reading({
        text: said('text', 'text'),
        thoughts: said('thinking', 'thinking'),
        calls: calls.map(({ id, name, input }) => ({ id, name, arguments: input })),
        finish: message.stop_reason,
        usage: count(message.usage),
      });
    },
  };
}

function gemini(tools) {
  const client = new GoogleGenAI({
    apiKey: KEY,
    httpOptions: { baseUrl: BASE, timeout: TIMEOUT, retryOptions: { attempts: 1 } },
  });
  const config = {
    tools: [{ functionDeclarations: tools.map((name) => ({ name, parametersJsonSchema: SCHEMA })) }],
    thinkingConfig: { includeThoughts: true },
  };
  const gather = async (chunks) => {
    const read = reading();
    for await (const chunk of chunks) {
      const counts = chunk.usageMetadata;
      if (counts) read.usage = [counts.promptTokenCount, (counts.candidatesTokenCount ?? 0) + (counts.thoughtsTokenCount ?? 0)];
      for (const candidate of chunk.candidates ?? []) {
        for (const part of candidate.content?.parts ?? []) {
          if (part.functionCall) {
            const { id, name, args } = part.functionCall;
            read.calls.push({ id, name, arguments: args ?? {} });
          } else if (part.thought) {
            read.thoughts += part.text ?? '';
          } else {
            read.text += part.text ?? '';
          }
        }
        read.finish = candidate.finishReason ?? read.finish;
      }
    }
    return read;
  };
  return {
    events: async (model) => gather(await client.models.generateContentStream({ model, contents: ASKED, config })),
    session: async (model) => gather(await client.chats.create({ model, config }).sendMessageStream({ message: ASKED })),
  };
}

// The Vercel AI SDK, with the package of one vendor.
function vercel(model, tools, providerOptions = {}) {
  const declared = Object.fromEntries(tools.map((name) => [name, tool({ inputSchema: jsonSchema(SCHEMA) })]));
  return async (name) => {
    const read = reading();
    const result = streamText({
      model: model(name),
      prompt: ASKED,
      tools: declared,
      providerOptions,
      maxRetries: 0,
      timeout: TIMEOUT,
      onError() {},
    });
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') read.text += part.text;
      else if (part.type === 'reasoning-delta') read.thoughts += part.text;
      else if (part.type === 'error') throw part.error;
      else if (part.type === 'tool-call') {
        need(!part.invalid, `an invalid tool call: ${part.error?.message}`);
        read.calls.push({ id: part.toolCallId, name: part.toolName, arguments: part.input });
      } else if (part.type === 'finish') {
        read.finish = part.finishReason;
        read.usage = [part.totalUsage.inputTokens ?? null, part.totalUsage.outputTokens ?? null];
      }
    }
    return read;
  };
}

function clients(tools) {
  const openai = createOpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY });
  const compatible = createOpenAICompatible({ name: 'gateway', baseURL: `${BASE}/v1`, apiKey: KEY, includeUsage: true });
  const anthropic = createAnthropic({ baseURL: `${BASE}/v1`, apiKey: KEY });
  const google = createGoogleGenerativeAI({ baseURL: `${BASE}/v1beta`, apiKey: KEY });
  const summaries = { openai: { reasoningSummary: 'auto', forceReasoning: true, store: false } };
  const thinking = { anthropic: { thinking: { type: 'adaptive', display: 'summarized' } } };
  const thoughts = { google: { thinkingConfig: { includeThoughts: true } } };
  return [
    ['chat', 'node', chat(tools)],
    ['responses', 'node', responses(tools)],
    ['messages', 'node', messages(tools)],
    ['gemini', 'node', gemini(tools)],
    ['chat', 'ai-sdk', {
      openai: vercel((name) => openai.chat(name), tools),
      compatible: vercel((name) => compatible(name), tools),
    }],
    ['responses', 'ai-sdk', { openai: vercel((name) => openai.responses(name), tools, summaries) }],
    ['messages', 'ai-sdk', { anthropic: vercel((name) => anthropic(name), tools, thinking) }],
    ['gemini', 'ai-sdk', { google: vercel((name) => google(name), tools, thoughts) }],
  ];
}

async function told(read, model) {
  try {
    return { read: await read(model) };
  } catch (error) {
    const at = String(error?.stack ?? '').split('\n').find((line) => line.trimStart().startsWith('at '));
    return { error: `${error?.name ?? typeof error}: ${error?.message ?? JSON.stringify(error)}`.slice(0, 400), at: at?.trim() };
  }
}

const [cases, out] = process.argv.slice(2);
const { tools, models } = JSON.parse(readFileSync(cases, 'utf8'));
const jobs = clients(tools).flatMap(([door, client, modes]) => Object.entries(modes)
  .flatMap(([mode, read]) => models[door].map((model) => ({ door, client, mode, read, model }))));
const file = createWriteStream(out);
// Errors that a library also throws where nobody waits are told where somebody does.
process.on('unhandledRejection', () => {});
let next = 0;
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (next < jobs.length) {
    const { read, ...job } = jobs[next];
    next += 1;
    const begin = performance.now();
    const result = await told(read, job.model);
    const seconds = Math.round(performance.now() - begin) / 1000;
    file.write(`${JSON.stringify({ ...job, ...result, seconds })}\n`);
  }
}));
file.end();
await new Promise((done) => { file.on('finish', done); });
process.exit(0);
