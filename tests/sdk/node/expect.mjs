// What the judge behind the gateway answers, in terms that all three SDKs share.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';

// The gateway, or with --direct the judge itself.
export const BASE = process.env.SDK_BASE;
export const DIRECT = process.env.SDK_DIRECT === '1';
// A second gateway, which sends the caller's credential upstream; empty with --direct.
export const PASSTHROUGH = process.env.SDK_PASSTHROUGH ?? '';
export const CALLER_KEY = 'sk-caller-0123456789';

export const TEXT = 'Grüße aus Zürich — 你好, "world" 👋\nSecond line.';
export const PIXELS = readFileSync(new URL('../fixtures/pixels.png', import.meta.url));
export const IMAGE = {
  mime: 'image/png',
  bytes: PIXELS.length,
  sha256: createHash('sha256').update(PIXELS).digest('hex').slice(0, 12),
};

export const WEATHER_SCHEMA = {
  type: 'object',
  properties: {
    city: { type: 'string', description: 'The city' },
    days: { type: 'integer' },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
  },
  required: ['city'],
};
export const TIME_SCHEMA = { type: 'object', properties: { tz: { type: 'string' } }, required: ['tz'] };
export const WEATHER_CALL = ['get_weather', { city: 'city ✓', days: 7, unit: 'celsius' }];
export const TIME_CALL = ['get_time', { tz: 'tz ✓' }];
export const FORECAST = { city: 'city ✓', days: 7, dry: true, tags: ['tags ✓'] };
export const ERRORS = [400, 401, 403, 404, 429, 500, 503];

export function model(upstream, scenario) {
  if (DIRECT) return scenario;
  // Errors come from providers of their own: a gateway may rest a key that was refused or limited.
  const provider = scenario.startsWith('error-') ? `${upstream}-${scenario.slice(6)}` : upstream;
  return `${provider}/${scenario}`;
}

// Which of two stop sequences arrive; Responses has no field for them.
export const stops = (upstream) => (upstream === 'up-responses' ? [] : ['END', 'HALT']);

// A name that the list of models must hold.
export const listed = (upstream) => (DIRECT ? 'text' : upstream.replace('up-', 'listed-'));

export const UPSTREAMS = ['up-chat', 'up-responses', 'up-messages', 'up-gemini'];

// Defines one test for each upstream (with --direct: `own` alone) and each way of asking.
export function each(own, modes, name, check, several = UPSTREAMS) {
  const upstreams = DIRECT ? [own] : several;
  for (const upstream of upstreams) {
    for (const mode of modes) test(`${name}[${upstream}-${mode}]`, () => check(upstream, mode));
  }
}

// An answer as an SDK shows it. `input` counts cached tokens too, `output` thoughts too.
export function seen(fields) {
  return { text: '', thoughts: '', calls: [], finish: '', input: 0, cached: 0, output: 0, id: '', model: '', ...fields };
}

export function usage(answer, thoughts = 0) {
  assert.deepEqual([answer.input, answer.cached, answer.output], [21, 8, 9 + thoughts]);
}

export function named(answer, upstream, scenario) {
  assert.ok(answer.id);
  assert.ok([scenario, model(upstream, scenario)].includes(answer.model), answer.model);
}

export const calls = (answer) => answer.calls.map(({ name, arguments: given }) => [name, given]);

// What the judge must have received of two calls and their results.
export function loop(answer, ids) {
  const told = JSON.parse(answer.text);
  assert.deepEqual(told.calls.map((call) => [call.name, call.arguments]), [WEATHER_CALL, TIME_CALL]);
  assert.deepEqual(
    told.results.map((result) => [result.name, result.content]),
    [['get_weather', { temp: 21 }], ['get_time', '12:00 in Zürich']],
  );
  const received = told.calls.map((call) => call.id);
  const answered = told.results.map((result) => result.id);
  if (received.every(Boolean) && answered.every(Boolean)) assert.deepEqual(received, answered);
  assert.equal(new Set(ids).size, 2, 'two calls must have two ids');
}
