// Stored answers of the Responses API, used with the OpenAI SDK for Node as its README uses it.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import * as expect from './expect.mjs';

const OWN = 'up-responses';
const MODES = ['whole', 'stream', 'helper'];
const client = new OpenAI({ baseURL: `${expect.BASE}/v1`, apiKey: expect.CALLER_KEY, maxRetries: 0, timeout: 20_000 });

const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'Weather of a city',
  strict: false,
  parameters: expect.WEATHER_SCHEMA,
};

// One request; the answer as the SDK gives it at the end.
async function ask(mode, upstream, scenario, options = {}) {
  const request = { model: expect.model(upstream, scenario), input: 'Say something.', ...options };
  if (mode === 'helper') return client.responses.stream(request).finalResponse();
  if (mode === 'whole') return client.responses.create(request);
  let last;
  for await (const event of await client.responses.create({ ...request, stream: true })) last = event;
  assert.equal(last.type, 'response.completed');
  return last.response;
}

const text = (answer) =>
  answer.output
    .filter((item) => item.type === 'message')
    .flatMap((item) => item.content.map((part) => part.text))
    .join('');

// A server of Responses keeps its answers itself.
function each(modes, name, check) {
  if (!expect.DIRECT) expect.each(OWN, modes, name, check, expect.UPSTREAMS.filter((upstream) => upstream !== OWN));
}

each(MODES, 'an answer is found again', async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  const found = await client.responses.retrieve(answer.id);
  assert.equal(found.id, answer.id);
  assert.equal(found.output_text, expect.TEXT);
  assert.deepEqual(found.usage, answer.usage);
});

each(MODES, 'it can be streamed again', async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  let told = '';
  let last;
  for await (const event of await client.responses.retrieve(answer.id, { stream: true })) {
    if (event.type === 'response.output_text.delta') told += event.delta;
    last = event;
  }
  assert.equal(told, expect.TEXT);
  assert.equal(last.type, 'response.completed');
  const again = await client.responses.stream({ response_id: answer.id }).finalResponse();
  assert.equal(text(again), expect.TEXT);
});

each(MODES, 'a conversation goes on, with a tool', async (upstream, mode) => {
  const first = await ask(mode, upstream, 'tool', { tools: [WEATHER] });
  const call = first.output.find((item) => item.type === 'function_call');
  const second = await ask(mode, upstream, 'tool-result', {
    tools: [WEATHER],
    input: [{ type: 'function_call_output', call_id: call.call_id, output: '18 degrees' }],
    previous_response_id: first.id,
  });
  const told = JSON.parse(text(second));
  assert.deepEqual(
    told.calls.map((one) => one.name),
    ['get_weather'],
  );
  assert.match(JSON.stringify(told.results), /18 degrees/);
  assert.equal(second.previous_response_id, first.id);
});

each(['whole'], 'its input is listed', async (upstream, mode) => {
  const words = ['one', 'two', 'three'];
  const answer = await ask(mode, upstream, 'text', { input: words.map((word) => ({ role: 'user', content: word })) });
  const listed = [];
  for await (const item of client.responses.inputItems.list(answer.id, { limit: 2, order: 'asc' })) {
    listed.push(item.content[0].text);
  }
  assert.deepEqual(listed, words);
});

each(['whole'], 'what is deleted is gone', async (upstream, mode) => {
  const answer = await ask(mode, upstream, 'text');
  await client.responses.delete(answer.id);
  await assert.rejects(client.responses.retrieve(answer.id), OpenAI.NotFoundError);
  await assert.rejects(ask(mode, upstream, 'text', { previous_response_id: answer.id }), {
    code: 'previous_response_not_found',
  });
  const other = await ask(mode, upstream, 'text');
  await assert.rejects(client.responses.cancel(other.id), OpenAI.BadRequestError);
});
