// Ten turns of an agent with each official SDK for Node and with the Vercel AI SDK, against each upstream: a line of JSON per
// conversation. The judge's scenario `agent` checks each request against all that was said before; here the tools are run, and
// the end is told.

import { writeFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

const BASE = process.env.SDK_BASE;
const KEY = 'sk-caller-0123456789';
const TASK = 'Add up what the tools give.';
const MOST_TURNS = 12;
const TIMEOUT = 20_000;
const AT_ONCE = 4;
const TOOLS = {
  add: {
    description: 'Adds two numbers',
    schema: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b'] },
    run: ({ a, b }) => ({ sum: a + b }),
  },
  lookup: {
    description: 'Looks up a key',
    schema: { type: 'object', properties: { key: { type: 'string' } }, required: ['key'] },
    run: ({ key }) => ({ value: `value of ${key}` }),
  },
};
const tools = (declare) => Object.entries(TOOLS).map(([name, { description, schema }]) => declare(name, description, schema));

// Takes turns until one ends the conversation.
async function converse(turn) {
  for (let count = 0; count < MOST_TURNS; count += 1) {
    const end = await turn();
    if (end !== undefined) return end;
  }
  throw new Error('no end');
}

function chat() {
  const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const declared = tools((name, description, parameters) => ({ type: 'function', function: { name, description, parameters } }));
  return (model, streamed) => {
    const messages = [{ role: 'user', content: TASK }];
    return converse(async () => {
      const request = { model, messages, tools: declared, reasoning_effort: 'high' };
      const completion = streamed
        ? await client.chat.completions.stream(request).finalChatCompletion()
        : await client.chat.completions.create(request);
      const [{ message }] = completion.choices;
      if (!message.tool_calls?.length) return message.content;
      // Of a field that it does not know, the helper keeps the last piece.
      const { parsed, reasoning_content: thought, ...turn } = message;
      messages.push(streamed ? turn : { ...turn, reasoning_content: thought });
      for (const call of message.tool_calls) {
        const result = TOOLS[call.function.name].run(JSON.parse(call.function.arguments));
        messages.push({ role: 'tool', tool_call_id: call.id, content: JSON.stringify(result) });
      }
      return undefined;
    });
  };
}

function responses() {
  const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const declared = tools((name, description, parameters) => ({ type: 'function', name, description, parameters, strict: false }));
  return (model, streamed) => {
    const input = [{ role: 'user', content: TASK }];
    return converse(async () => {
      const request = {
        model,
        input,
        tools: declared,
        store: false,
        include: ['reasoning.encrypted_content'],
        reasoning: { effort: 'high', summary: 'auto' },
      };
      const response = streamed ? await client.responses.stream(request).finalResponse() : await client.responses.create(request);
      const calls = response.output.filter((item) => item.type === 'function_call');
      if (!calls.length) return response.output_text;
      input.push(...response.output.map(({ parsed_arguments: parsed, ...item }) => (item.type === 'message'
        ? { ...item, content: item.content.map(({ parsed: also, ...part }) => part) }
        : item)));
      for (const { name, arguments: given, call_id: id } of calls) {
        input.push({ type: 'function_call_output', call_id: id, output: JSON.stringify(TOOLS[name].run(JSON.parse(given))) });
      }
      return undefined;
    });
  };
}

function messages() {
  const client = new Anthropic({ baseURL: BASE, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const declared = tools((name, description, schema) => ({ name, description, input_schema: schema }));
  return (model, streamed) => {
    const turns = [{ role: 'user', content: TASK }];
    return converse(async () => {
      const request = { model, messages: turns, tools: declared, max_tokens: 4096, thinking: { type: 'adaptive', display: 'summarized' } };
      const message = streamed ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
      const calls = message.content.filter((block) => block.type === 'tool_use');
      if (!calls.length) return message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
      turns.push({ role: 'assistant', content: message.content });
      turns.push({
        role: 'user',
        content: calls.map(({ id, name, input }) => ({
          type: 'tool_result', tool_use_id: id, content: JSON.stringify(TOOLS[name].run(input)),
        })),
      });
      return undefined;
    });
  };
}

function gemini() {
  const client = new GoogleGenAI({
    apiKey: KEY,
    httpOptions: { baseUrl: BASE, timeout: TIMEOUT, retryOptions: { attempts: 1 } },
  });
  const functionDeclarations = tools((name, description, parametersJsonSchema) => ({ name, description, parametersJsonSchema }));
  const config = { tools: [{ functionDeclarations }], thinkingConfig: { includeThoughts: true } };
  return (model, streamed) => {
    const session = client.chats.create({ model, config });
    let message = TASK;
    return converse(async () => {
      const chunks = [];
      if (streamed) for await (const chunk of await session.sendMessageStream({ message })) chunks.push(chunk);
      else chunks.push(await session.sendMessage({ message }));
      const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
      const calls = parts.flatMap((part) => part.functionCall ?? []);
      if (!calls.length) return parts.filter((part) => !part.thought).map((part) => part.text ?? '').join('');
      message = calls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: TOOLS[name].run(args) } }));
      return undefined;
    });
  };
}

// The Vercel AI SDK goes round the loop by itself.
function vercel(model, providerOptions = {}) {
  const declared = Object.fromEntries(Object.entries(TOOLS).map(([name, { description, schema, run }]) => [
    name, tool({ description, inputSchema: jsonSchema(schema), execute: async (given) => run(given) }),
  ]));
  return async (name, streamed) => {
    const request = {
      model: model(name),
      prompt: TASK,
      tools: declared,
      stopWhen: stepCountIs(MOST_TURNS),
      providerOptions,
      maxRetries: 0,
      timeout: TIMEOUT * 4,
    };
    if (!streamed) return (await generateText(request)).text;
    let failed;
    const result = streamText({ ...request, onError: ({ error }) => { failed = error; } });
    await result.consumeStream();
    if (failed) throw failed;
    return result.text;
  };
}

const openai = createOpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY });
const compatible = createOpenAICompatible({ name: 'gateway', baseURL: `${BASE}/v1`, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: `${BASE}/v1`, apiKey: KEY });
const google = createGoogleGenerativeAI({ baseURL: `${BASE}/v1beta`, apiKey: KEY });
const CLIENTS = [
  ['node', 'chat', chat()],
  ['node', 'responses', responses()],
  ['node', 'messages', messages()],
  ['node', 'gemini', gemini()],
  ['ai-sdk', 'chat', vercel((name) => openai.chat(name))],
  ['ai-sdk-compatible', 'chat', vercel((name) => compatible(name))],
  ['ai-sdk', 'responses', vercel((name) => openai.responses(name), {
    openai: { reasoningSummary: 'auto', forceReasoning: true, store: false, include: ['reasoning.encrypted_content'] },
  })],
  ['ai-sdk', 'messages', vercel((name) => anthropic(name), { anthropic: { thinking: { type: 'adaptive', display: 'summarized' } } })],
  ['ai-sdk', 'gemini', vercel((name) => google(name), { google: { thinkingConfig: { includeThoughts: true } } })],
];

const jobs = CLIENTS.flatMap(([client, door, ask]) => ['chat', 'responses', 'messages', 'gemini']
  .flatMap((upstream) => ['whole', 'stream'].map((mode) => ({ client, door, upstream, mode, ask }))));
const lines = [];
process.on('unhandledRejection', () => {});
let next = 0;
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (next < jobs.length) {
    const { ask, ...job } = jobs[next];
    next += 1;
    try {
      lines.push({ ...job, end: JSON.parse(await ask(`up-${job.upstream}/agent`, job.mode === 'stream')) });
    } catch (error) {
      const at = String(error?.stack ?? '').split('\n').find((line) => line.trimStart().startsWith('at '));
      lines.push({ ...job, error: `${error?.name}: ${error?.message ?? JSON.stringify(error)}`.slice(0, 600), at: at?.trim() });
    }
  }
}));
writeFileSync(process.argv[2], lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
process.exit(0);
