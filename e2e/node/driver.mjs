// Makes calls with the official SDK for a test that asks for them: one JSON request a line on
// stdin, one JSON answer a line on stdout. Ends with its stdin.

import readline from 'node:readline';

import OpenAI, { AzureOpenAI } from 'openai';

const MESSAGES = [{ role: 'user', content: 'Say hello.' }];
const CHAT_TOOL = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: {} } },
};
const TOOL = { type: 'function', name: 'weather', parameters: {}, strict: false };

function makeClient({ kind, url, key, maxRetries }) {
  const given = { apiKey: key, ...(maxRetries === undefined ? {} : { maxRetries }) };
  if (kind === 'azure') {
    return new AzureOpenAI({ endpoint: url, apiVersion: '2024-10-21', ...given });
  }
  if (kind === 'azure-v1') {
    return new AzureOpenAI({ baseURL: `${url}/openai/v1`, apiVersion: 'preview', ...given });
  }
  return new OpenAI({ baseURL: `${url}/openai/v1`, ...given });
}

async function collect(stream) {
  const texts = [];
  const usages = [];
  let broken = null;
  try {
    for await (const chunk of stream) {
      texts.push(...chunk.choices.map((choice) => choice.delta?.content ?? choice.text ?? ''));
      if (chunk.usage) usages.push(chunk.usage);
    }
  } catch (error) {
    broken = describe(error);
  }
  return { text: texts.join(''), usages, broken };
}

const CALLS = {
  async chat(client, { model = 'gpt-4o' }) {
    const answer = await client.chat.completions.create({ model, messages: MESSAGES });
    return { text: answer.choices[0].message.content, usage: answer.usage };
  },

  async chatStream(client, { model = 'gpt-4o', options }) {
    const more = options ? { stream_options: options } : {};
    return collect(
      await client.chat.completions.create({ model, messages: MESSAGES, stream: true, ...more }),
    );
  },

  async chatTools(client) {
    const request = { model: 'gpt-4o', messages: MESSAGES, tools: [CHAT_TOOL] };
    const answer = await client.chat.completions.create(request);
    return answer.choices[0].message.tool_calls[0].function;
  },

  async chatToolsStream(client) {
    const request = { model: 'gpt-4o', messages: MESSAGES, tools: [CHAT_TOOL] };
    const answer = await client.chat.completions.stream(request).finalChatCompletion();
    const { name, arguments: args } = answer.choices[0].message.tool_calls[0].function;
    return { name, arguments: args };
  },

  async completions(client) {
    const answer = await client.completions.create({ model: 'gpt-4o', prompt: 'Say hello.' });
    return { text: answer.choices[0].text };
  },

  async completionsStream(client) {
    const request = { model: 'gpt-4o', prompt: 'Say hello.', stream: true };
    return collect(await client.completions.create(request));
  },

  async embeddings(client) {
    const request = { model: 'text-embedding-3-small', input: ['one', 'two'] };
    const answer = await client.embeddings.create(request);
    return { sizes: answer.data.map((item) => item.embedding.length), usage: answer.usage };
  },

  async responses(client) {
    const answer = await client.responses.create({ model: 'gpt-4o', input: 'Say hello.' });
    return { text: answer.output_text, usage: answer.usage };
  },

  async responsesTools(client) {
    const request = { model: 'gpt-4o', input: 'Say hello.', tools: [TOOL] };
    const { name, arguments: args } = (await client.responses.create(request)).output[0];
    return { name, arguments: args };
  },

  async responsesStream(client) {
    const request = { model: 'gpt-4o', input: 'Say hello.', stream: true };
    const deltas = [];
    let usage = null;
    for await (const event of await client.responses.create(request)) {
      if (event.type === 'response.output_text.delta') deltas.push(event.delta);
      if (event.type === 'response.completed') usage = event.response.usage;
    }
    return { text: deltas.join(''), usage };
  },

  async models(client) {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return { names };
  },

  async leaveStream(client) {
    const request = { model: 'gpt-4o', messages: MESSAGES, stream: true };
    for await (const chunk of await client.chat.completions.create(request)) {
      if (chunk.choices[0]?.delta?.content) break;
    }
    return {};
  },
};

function describe(error) {
  return {
    name: error.constructor.name,
    status: error.status ?? null,
    code: error.code ?? null,
    message: error.message,
    inner: error.error?.innererror?.code ?? null,
    retryAfter: error.headers?.get?.('retry-after') ?? null,
    retryAfterMs: error.headers?.get?.('retry-after-ms') ?? null,
  };
}

async function serve(line) {
  const { call, ...args } = JSON.parse(line);
  try {
    return { result: await CALLS[call](makeClient(args), args) };
  } catch (error) {
    return { error: describe(error) };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await serve(line))}\n`);
}
