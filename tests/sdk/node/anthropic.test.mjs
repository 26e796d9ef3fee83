// The Anthropic SDK for Node, used as its README uses it.

import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import * as expect from './expect.mjs';

const OWN = 'up-messages';
const MODES = ['whole', 'stream', 'helper'];
const connect = (base) => new Anthropic({ baseURL: base, apiKey: expect.CALLER_KEY, maxRetries: 0, timeout: 20_000 });
const client = connect(expect.BASE);

const WEATHER = { name: 'get_weather', description: 'Weather of a city', input_schema: expect.WEATHER_SCHEMA };
const TIME = { name: 'get_time', input_schema: expect.TIME_SCHEMA };

const ERROR_CLASSES = {
  400: Anthropic.BadRequestError,
  401: Anthropic.AuthenticationError,
  403: Anthropic.PermissionDeniedError,
  404: Anthropic.NotFoundError,
  429: Anthropic.RateLimitError,
  500: Anthropic.InternalServerError,
  503: Anthropic.InternalServerError,
};

// One request; what the SDK makes of the answer.
async function ask(mode, upstream, scenario, options = {}) {
  const request = {
    model: expect.model(upstream, scenario),
    messages: [{ role: 'user', content: 'Say something.' }],
    max_tokens: 512,
    ...options,
  };
  if (mode === 'stream') return gather(await client.messages.create({ ...request, stream: true }));
  if (mode === 'helper') {
    let spoken = '';
    const calls = [];
    const stream = client.messages.stream(request)
      .on('text', (text) => { spoken += text; })
      .on('contentBlock', (block) => { if (block.type === 'tool_use') calls.push(block); });
    const answer = see(await stream.finalMessage());
    assert.equal(spoken, answer.text);
    // The events of the helper pair a block with what arrived last, so they go wrong where blocks overlap.
    assert.deepEqual(calls.map((block) => [block.name, block.input]), expect.calls(answer));
    return answer;
  }
  return see(await client.messages.create(request));
}

function see(message) {
  assert.deepEqual([message.type, message.role], ['message', 'assistant']);
  const said = (type, field) => message.content.filter((block) => block.type === type).map((block) => block[field]).join('');
  return expect.seen({
    text: said('text', 'text'),
    thoughts: said('thinking', 'thinking'),
    calls: message.content
      .filter((block) => block.type === 'tool_use')
      .map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
    finish: message.stop_reason,
    id: message.id,
    model: message.model,
    message,
    ...count(message.usage),
  });
}

function count(usage) {
  const cached = usage.cache_read_input_tokens ?? 0;
  return { cached, input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0), output: usage.output_tokens };
}

async function gather(stream) {
  const answer = expect.seen();
  const types = [];
  const spoken = new Map();
  for await (const event of stream) {
    types.push(event.type);
    if (event.type === 'message_start') Object.assign(answer, { id: event.message.id, model: event.message.model });
    if (event.type === 'content_block_start' && event.content_block.type === 'tool_use') {
      const { id, name } = event.content_block;
      spoken.set(event.index, { id, name, arguments: '' });
    }
    if (event.type === 'content_block_delta') {
      answer.text += event.delta.text ?? '';
      answer.thoughts += event.delta.thinking ?? '';
      if (event.delta.type === 'input_json_delta') spoken.get(event.index).arguments += event.delta.partial_json;
    }
    if (event.type === 'message_delta') Object.assign(answer, { finish: event.delta.stop_reason, ...count(event.usage) });
  }
  assert.deepEqual([types[0], types.at(-1)], ['message_start', 'message_stop']);
  answer.calls = [...spoken.values()].map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }));
  return answer;
}

const each = (name, modes, check) => expect.each(OWN, modes, name, check);

each('text', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  assert.equal(answer.text, expect.TEXT);
  assert.equal(answer.finish, 'end_turn');
  expect.usage(answer);
  expect.named(answer, upstream, 'text');
});

each('system', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'system', { system: [{ type: 'text', text: 'Be brief — très bref.' }] });
  assert.equal(answer.text, 'Be brief — très bref.');
});

each('multi-turn', MODES, async (upstream, mode) => {
  const messages = [
    { role: 'user', content: 'My name is Ada.' },
    { role: 'assistant', content: 'Hello Ada.' },
    { role: 'user', content: [{ type: 'text', text: 'What is my name?' }] },
  ];
  assert.deepEqual(JSON.parse((await ask(mode, upstream, 'multi-turn', { messages })).text), [
    ['user', 'My name is Ada.'],
    ['assistant', 'Hello Ada.'],
    ['user', 'What is my name?'],
  ]);
});

each('image', MODES, async (upstream, mode) => {
  const source = { type: 'base64', media_type: 'image/png', data: expect.PIXELS.toString('base64') };
  const content = [{ type: 'image', source }, { type: 'text', text: 'What is this?' }];
  const answer = await ask(mode, upstream, 'image', { messages: [{ role: 'user', content }] });
  assert.deepEqual(JSON.parse(answer.text), [expect.IMAGE]);
});

each('tool', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'tool', { tools: [WEATHER, TIME] });
  assert.equal(answer.text, 'Let me look.');
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL]);
  assert.ok(answer.calls[0].id);
  assert.equal(answer.finish, 'tool_use');
  expect.usage(answer);
});

each('parallel tools', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'parallel', { tools: [WEATHER, TIME] });
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL, expect.TIME_CALL]);
  assert.notEqual(answer.calls[0].id, answer.calls[1].id);
  assert.equal(answer.finish, 'tool_use');
});

each('tool result', MODES, async (upstream, mode) => {
  const question = { role: 'user', content: 'Weather and time?' };
  const tools = [WEATHER, TIME];
  const first = await ask('whole', upstream, 'parallel', { messages: [question], tools });
  const ids = first.calls.map((call) => call.id);
  const results = [
    { type: 'tool_result', tool_use_id: ids[0], content: '{"temp": 21}' },
    { type: 'tool_result', tool_use_id: ids[1], content: [{ type: 'text', text: '12:00 in Zürich' }] },
  ];
  const messages = [question, { role: 'assistant', content: first.message.content }, { role: 'user', content: results }];
  expect.loop(await ask(mode, upstream, 'tool-result', { messages, tools }), ids);
});

each('structured output', ['whole', 'helper'], async (upstream, mode) => {
  const shape = z.object({ city: z.string(), days: z.int(), dry: z.boolean(), tags: z.array(z.string()) });
  const request = {
    model: expect.model(upstream, 'schema'),
    messages: [{ role: 'user', content: 'A forecast, please.' }],
    max_tokens: 512,
    output_config: { format: zodOutputFormat(shape) },
  };
  const message = mode === 'helper'
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.parse(request);
  assert.deepEqual(message.parsed_output, expect.FORECAST);
});

each('max tokens', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'max-tokens', { max_tokens: 37 });
  assert.deepEqual([answer.text, answer.finish], ['limit 37', 'max_tokens']);
});

each('stop', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'stop', { stop_sequences: ['END', 'HALT'] });
  assert.deepEqual(JSON.parse(answer.text), expect.stops(upstream));
  // The other dialects do not say which sequence ended the answer.
  assert.equal(answer.finish, upstream === OWN ? 'stop_sequence' : 'end_turn');
});

each('reasoning', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'reasoning');
  assert.equal(answer.text, '4');
  expect.usage(answer, 3);
});

for (const status of expect.ERRORS) {
  each(`error ${status}`, MODES, async (upstream, mode) => {
    await assert.rejects(ask(mode, upstream, `error-${status}`), (error) => {
      assert.ok(error instanceof ERROR_CLASSES[status], error.constructor.name);
      assert.match(error.message, /judge/);
      assert.equal(error.error.type, 'error');
      if (status === 429) assert.equal(error.headers.get('retry-after'), '7');
      return true;
    });
  });
}

for (const scenario of ['broken', 'cut']) {
  each(`${scenario} stream`, ['stream', 'helper'], async (upstream, mode) => {
    await assert.rejects(ask(mode, upstream, scenario));
  });
}

each('count tokens', ['whole'], async (upstream) => {
  const { input_tokens: counted } = await client.messages.countTokens({
    model: expect.model(upstream, 'text'),
    messages: [{ role: 'user', content: 'Hello, world' }],
  });
  if (['up-chat', 'up-responses'].includes(upstream)) assert.ok(counted >= 1 && counted <= 30); // not counted there: an estimate
  else assert.equal(counted, 42);
});

if (!expect.DIRECT) {
  each('passthrough key', ['whole'], async (upstream) => {
    const message = await connect(expect.PASSTHROUGH).messages.create({
      model: expect.model(upstream, 'key'),
      messages: [{ role: 'user', content: 'Which key?' }],
      max_tokens: 512,
    });
    assert.equal(JSON.parse(message.content[0].text).key, expect.CALLER_KEY);
  });
}

each('models', ['list'], async (upstream) => {
  const ids = [];
  for await (const one of client.models.list()) ids.push(one.id);
  assert.ok(ids.includes(expect.listed(upstream)));
});
