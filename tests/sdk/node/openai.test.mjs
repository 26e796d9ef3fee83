// The OpenAI SDK for Node, used as its README uses it.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import * as expect from './expect.mjs';

const OWN = 'up-chat';
const MODES = ['whole', 'stream', 'helper'];
const connect = (base) => new OpenAI({ baseURL: `${base}/v1`, apiKey: expect.CALLER_KEY, maxRetries: 0, timeout: 20_000 });
const client = connect(expect.BASE);

const WEATHER = {
  type: 'function',
  function: { name: 'get_weather', description: 'Weather of a city', parameters: expect.WEATHER_SCHEMA },
};
const TIME = { type: 'function', function: { name: 'get_time', parameters: expect.TIME_SCHEMA } };

const ERROR_CLASSES = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
  503: OpenAI.InternalServerError,
};

// One request; what the SDK makes of the answer.
async function ask(mode, upstream, scenario, options = {}) {
  const request = {
    model: expect.model(upstream, scenario),
    messages: [{ role: 'user', content: 'Say something.' }],
    ...options,
  };
  const counted = { stream_options: { include_usage: true } };
  if (mode === 'stream') return gather(await client.chat.completions.create({ ...request, ...counted, stream: true }));
  if (mode === 'helper') return see(await client.chat.completions.stream({ ...request, ...counted }).finalChatCompletion());
  return see(await client.chat.completions.create(request));
}

function see(completion) {
  assert.equal(completion.object, 'chat.completion');
  const [{ message, finish_reason: finish }] = completion.choices;
  return expect.seen({
    text: message.content ?? '',
    calls: (message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
    })),
    finish,
    id: completion.id,
    model: completion.model,
    message,
    ...count(completion.usage),
  });
}

function count(usage) {
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  return {
    input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details.cached_tokens,
    output: usage.completion_tokens,
  };
}

async function gather(stream) {
  const answer = expect.seen();
  const calls = [];
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    Object.assign(answer, { id: chunk.id, model: chunk.model });
    if (chunk.usage) Object.assign(answer, count(chunk.usage));
    for (const { delta, finish_reason: finish } of chunk.choices) {
      answer.text += delta.content ?? '';
      for (const piece of delta.tool_calls ?? []) {
        calls[piece.index] ??= { id: '', name: '', arguments: '' };
        calls[piece.index].id += piece.id ?? '';
        calls[piece.index].name += piece.function.name ?? '';
        calls[piece.index].arguments += piece.function.arguments ?? '';
      }
      if (finish) answer.finish = finish;
    }
  }
  answer.calls = calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }));
  return answer;
}

const each = (name, modes, check) => expect.each(OWN, modes, name, check);

each('text', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  assert.equal(answer.text, expect.TEXT);
  assert.equal(answer.finish, 'stop');
  expect.usage(answer);
  expect.named(answer, upstream, 'text');
});

each('system', MODES, async (upstream, mode) => {
  const messages = [{ role: 'developer', content: 'Be brief — très bref.' }, { role: 'user', content: 'Hi' }];
  assert.equal((await ask(mode, upstream, 'system', { messages })).text, 'Be brief — très bref.');
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
  const url = `data:image/png;base64,${expect.PIXELS.toString('base64')}`;
  const content = [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url } }];
  const answer = await ask(mode, upstream, 'image', { messages: [{ role: 'user', content }] });
  assert.deepEqual(JSON.parse(answer.text), [expect.IMAGE]);
});

each('tool', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'tool', { tools: [WEATHER, TIME] });
  assert.equal(answer.text, 'Let me look.');
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL]);
  assert.ok(answer.calls[0].id);
  assert.equal(answer.finish, 'tool_calls');
  expect.usage(answer);
});

each('parallel tools', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'parallel', { tools: [WEATHER, TIME] });
  assert.deepEqual(expect.calls(answer), [expect.WEATHER_CALL, expect.TIME_CALL]);
  assert.notEqual(answer.calls[0].id, answer.calls[1].id);
  assert.equal(answer.finish, 'tool_calls');
});

each('tool result', MODES, async (upstream, mode) => {
  const question = { role: 'user', content: 'Weather and time?' };
  const tools = [WEATHER, TIME];
  const first = await ask('whole', upstream, 'parallel', { messages: [question], tools });
  const ids = first.calls.map((call) => call.id);
  const messages = [
    question,
    first.message,
    { role: 'tool', tool_call_id: ids[0], content: '{"temp": 21}' },
    { role: 'tool', tool_call_id: ids[1], content: '12:00 in Zürich' },
  ];
  expect.loop(await ask(mode, upstream, 'tool-result', { messages, tools }), ids);
});

each('run tools', ['helper'], async (upstream) => {
  const asked = [];
  const runner = client.chat.completions.runTools({
    model: expect.model(upstream, 'tool'),
    messages: [{ role: 'user', content: 'Weather?' }],
    tools: [{
      type: 'function',
      function: {
        name: 'get_weather',
        parameters: expect.WEATHER_SCHEMA,
        parse: JSON.parse,
        function: (given) => { asked.push(given); return 'sunny'; },
      },
    }],
  }, { maxChatCompletions: 1 });
  await runner.done().catch(() => {}); // it ends for want of a final answer, which one turn cannot have
  assert.deepEqual(asked, [expect.WEATHER_CALL[1]]);
});

each('structured output', ['whole', 'helper'], async (upstream, mode) => {
  const shape = z.object({ city: z.string(), days: z.int(), dry: z.boolean(), tags: z.array(z.string()) });
  const request = {
    model: expect.model(upstream, 'schema'),
    messages: [{ role: 'user', content: 'A forecast, please.' }],
    response_format: zodResponseFormat(shape, 'forecast'),
  };
  const completion = mode === 'helper'
    ? await client.chat.completions.stream(request).finalChatCompletion()
    : await client.chat.completions.parse(request);
  assert.deepEqual(completion.choices[0].message.parsed, expect.FORECAST);
});

each('max tokens', ['whole', 'stream'], async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'max-tokens', { max_completion_tokens: 37 });
  assert.deepEqual([answer.text, answer.finish], ['limit 37', 'length']);
});

each('stop', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'stop', { stop: ['END', 'HALT'] });
  assert.deepEqual([JSON.parse(answer.text), answer.finish], [expect.stops(upstream), 'stop']);
});

each('reasoning', MODES, async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'reasoning');
  assert.equal(answer.text, '4');
  expect.usage(answer, 3);
});

for (const status of expect.ERRORS) {
  each(`error ${status}`, MODES, async (upstream, mode) => {
    await assert.rejects(ask(mode, upstream, `error-${status}`), (error) => {
      assert.equal(error.constructor, ERROR_CLASSES[status]);
      assert.match(error.message, /judge/);
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

if (!expect.DIRECT) {
  each('passthrough key', ['whole'], async (upstream) => {
    const completion = await connect(expect.PASSTHROUGH).chat.completions.create({
      model: expect.model(upstream, 'key'),
      messages: [{ role: 'user', content: 'Which key?' }],
    });
    assert.equal(JSON.parse(completion.choices[0].message.content).key, expect.CALLER_KEY);
  });
}

each('models', ['list'], async (upstream) => {
  const ids = [];
  for await (const one of client.models.list()) ids.push(one.id);
  assert.ok(ids.includes(expect.listed(upstream)));
});
