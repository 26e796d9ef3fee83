// The Google Gen AI SDK for Node, used as its README uses it.

import assert from 'node:assert/strict';
import { ApiError, GoogleGenAI, Type, createModelContent, createPartFromBase64, createUserContent } from '@google/genai';
import * as expect from './expect.mjs';

const OWN = 'up-gemini';
const MODES = ['whole', 'stream'];
const connect = (base) => new GoogleGenAI({
  apiKey: expect.CALLER_KEY,
  httpOptions: { baseUrl: base, timeout: 20_000, retryOptions: { attempts: 1 } },
});
const client = connect(expect.BASE);

const WEATHER = { name: 'get_weather', description: 'Weather of a city', parametersJsonSchema: expect.WEATHER_SCHEMA };
const TIME = {
  name: 'get_time',
  parameters: { type: Type.OBJECT, properties: { tz: { type: Type.STRING } }, required: ['tz'] },
};
const TOOLS = [{ functionDeclarations: [WEATHER, TIME] }];

// One request; what the SDK makes of the answer.
async function ask(mode, upstream, scenario, { contents = 'Say something.', ...config } = {}) {
  const request = { model: expect.model(upstream, scenario), contents, config };
  if (mode === 'whole') return see([await client.models.generateContent(request)]);
  const chunks = [];
  for await (const chunk of await client.models.generateContentStream(request)) chunks.push(chunk);
  return see(chunks);
}

function see(responses) {
  const candidates = responses.flatMap((response) => response.candidates ?? []);
  const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? []);
  const said = (wanted) => parts.filter((part) => wanted === Boolean(part.thought)).map((part) => part.text ?? '').join('');
  const finishes = candidates.map((candidate) => candidate.finishReason).filter(Boolean);
  assert.equal(finishes.length, 1);
  const usage = responses.map((response) => response.usageMetadata).filter(Boolean).at(-1);
  const output = usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0);
  assert.equal(usage.totalTokenCount, usage.promptTokenCount + output);
  return expect.seen({
    text: said(false),
    thoughts: said(true),
    calls: parts
      .filter((part) => part.functionCall)
      .map(({ functionCall: call }) => ({ id: call.id, name: call.name, arguments: call.args })),
    finish: finishes[0],
    id: responses.at(-1).responseId,
    model: responses.at(-1).modelVersion,
    parts,
    input: usage.promptTokenCount,
    cached: usage.cachedContentTokenCount ?? 0,
    output,
  });
}

const each = (name, modes, check) => expect.each(OWN, modes, name, check);

each('text', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  assert.equal(answer.text, expect.TEXT);
  assert.equal(answer.finish, 'STOP');
  expect.usage(answer);
  expect.named(answer, upstream, 'text');
});

each('system', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'system', { systemInstruction: 'Be brief — très bref.' });
  assert.equal(answer.text, 'Be brief — très bref.');
});

each('multi-turn', MODES, async (upstream, mode) => {
  const contents = [
    createUserContent('My name is Ada.'),
    createModelContent('Hello Ada.'),
    createUserContent('What is my name?'),
  ];
  assert.deepEqual(JSON.parse((await ask(mode, upstream, 'multi-turn', { contents })).text), [
    ['user', 'My name is Ada.'],
    ['assistant', 'Hello Ada.'],
    ['user', 'What is my name?'],
  ]);
});

each('chat session', ['whole'], async (upstream) => {
  const chat = client.chats.create({ model: expect.model(upstream, 'multi-turn') });
  await chat.sendMessage({ message: 'One.' });
  const second = await chat.sendMessage({ message: 'Two.' });
  assert.deepEqual(JSON.parse(second.text), [['user', 'One.'], ['assistant', '[["user","One."]]'], ['user', 'Two.']]);
});

each('image', MODES, async (upstream, mode) => {
  const image = createPartFromBase64(expect.PIXELS.toString('base64'), 'image/png');
  const answer = await ask(mode, upstream, 'image', { contents: createUserContent([image, 'What is this?']) });
  assert.deepEqual(JSON.parse(answer.text), [expect.IMAGE]);
});

each('tool', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'tool', { tools: TOOLS });
  assert.equal(answer.text, 'Let me look.');
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL]);
  assert.equal(answer.finish, 'STOP');
  expect.usage(answer);
});

each('parallel tools', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'parallel', { tools: TOOLS });
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL, expect.TIME_CALL]);
});

each('tool result', MODES, async (upstream, mode) => {
  const question = createUserContent('Weather and time?');
  const first = await ask('whole', upstream, 'parallel', { contents: question, tools: TOOLS });
  const answers = [{ temp: 21 }, { output: '12:00 in Zürich' }];
  const results = first.calls.map(({ id, name }, number) => ({ functionResponse: { id, name, response: answers[number] } }));
  const contents = [question, { role: 'model', parts: first.parts }, { role: 'user', parts: results }];
  const answer = await ask(mode, upstream, 'tool-result', { contents, tools: TOOLS });
  expect.loop(answer, first.calls.map((call) => call.id));
});

each('structured output', MODES, async (upstream, mode) => {
  const properties = {
    city: { type: Type.STRING },
    days: { type: Type.INTEGER },
    dry: { type: Type.BOOLEAN },
    tags: { type: Type.ARRAY, items: { type: Type.STRING } },
  };
  const responseSchema = { type: Type.OBJECT, properties, required: Object.keys(properties) };
  const answer = await ask(mode, upstream, 'schema', { responseMimeType: 'application/json', responseSchema });
  assert.deepEqual(JSON.parse(answer.text), expect.FORECAST);
});

each('max tokens', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'max-tokens', { maxOutputTokens: 37 });
  assert.deepEqual([answer.text, answer.finish], ['limit 37', 'MAX_TOKENS']);
});

each('stop', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'stop', { stopSequences: ['END', 'HALT'] });
  assert.deepEqual([JSON.parse(answer.text), answer.finish], [expect.stops(upstream), 'STOP']);
});

each('reasoning', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'reasoning', { thinkingConfig: { includeThoughts: true } });
  assert.deepEqual([answer.text, answer.thoughts], ['4', 'Let me think: 2 + 2.']);
  expect.usage(answer, 3);
});

for (const status of expect.ERRORS) {
  each(`error ${status}`, MODES, async (upstream, mode) => {
    await assert.rejects(ask(mode, upstream, `error-${status}`), (error) => {
      assert.ok(error instanceof ApiError);
      // A refused key is an invalid argument to Gemini itself, whose answer passes through as it is.
      assert.equal(error.status, status === 401 && upstream === OWN ? 400 : status);
      assert.match(error.message, /judge/);
      return true;
    });
  });
}

for (const scenario of ['broken', 'cut']) {
  each(`${scenario} stream`, ['stream'], async (upstream) => {
    const chunks = [];
    await assert.rejects(async () => {
      const request = { model: expect.model(upstream, scenario), contents: 'Say something.' };
      for await (const chunk of await client.models.generateContentStream(request)) chunks.push(chunk);
    });
    assert.ok(!chunks.some((chunk) => chunk.candidates?.[0]?.finishReason), 'a finish before the failure');
  });
}

each('count tokens', ['whole'], async (upstream) => {
  const { totalTokens: counted } = await client.models.countTokens({
    model: expect.model(upstream, 'text'),
    contents: 'Hello, world',
  });
  if (['up-chat', 'up-responses'].includes(upstream)) assert.ok(counted >= 1 && counted <= 30); // not counted there: an estimate
  else assert.equal(counted, 42);
});

each('array framing', ['v1', 'v1beta'], async (upstream, version) => {
  const url = `${expect.BASE}/${version}/models/${expect.model(upstream, 'text')}:streamGenerateContent`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-goog-api-key': expect.CALLER_KEY },
    body: JSON.stringify({ contents: [{ parts: [{ text: 'Hi' }] }] }),
  });
  const chunks = await response.json();
  const parts = chunks.flatMap((chunk) => chunk.candidates[0].content.parts);
  assert.equal(parts.map((part) => part.text ?? '').join(''), expect.TEXT);
  assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
});

if (!expect.DIRECT) {
  each('passthrough key', ['whole'], async (upstream) => {
    const request = { model: expect.model(upstream, 'key'), contents: 'Which key?' };
    const response = await connect(expect.PASSTHROUGH).models.generateContent(request);
    assert.equal(JSON.parse(response.text).key, expect.CALLER_KEY);
  });
}

each('models', ['list'], async (upstream) => {
  const names = [];
  for await (const one of await client.models.list()) names.push(one.name);
  assert.ok(names.includes(`models/${expect.listed(upstream)}`));
});
