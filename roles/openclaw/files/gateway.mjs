// A client of the gateway in this container, over its WebSocket (protocol 4). Only from the loopback does the token alone carry rights:
// others need a paired device.

/** Connect with the gateway's token. Resolves to a client, rejects with what the gateway says. An error's `code` is LATE when nobody answered
 * in time, and CLOSED when the connection ended. */
export const connect = (token, seconds = 10) => new Promise((resolve, reject) => {
  const socket = new WebSocket('ws://127.0.0.1:18789/');
  const waiting = new Map(), listeners = new Set();
  let closed = '';
  const end = (why) => {
    closed ||= why;
    for (const { settle } of waiting.values()) settle({ ok: false, error: { code: 'CLOSED', message: closed } });
    reject(new Error(closed));
  };
  const timer = setTimeout(() => { end(`the gateway did not let us in within ${seconds} s`); socket.close(); }, seconds * 1000);
  /** Call a method. Resolves to {ok, payload, error, seconds}; of a turn not its acceptance but its end. */
  const call = (method, params = {}, limit = 60) => new Promise((settle) => {
    const id = crypto.randomUUID(), began = performance.now();
    const done = (answer) => {
      clearTimeout(late);
      waiting.delete(id);
      settle({ ...answer, seconds: (performance.now() - began) / 1000 });
    };
    const late = setTimeout(() => done({ ok: false, error: { code: 'LATE', message: `no answer in ${limit} s` } }), limit * 1000);
    if (closed) return done({ ok: false, error: { code: 'CLOSED', message: closed } });
    waiting.set(id, { settle: done });
    return socket.send(JSON.stringify({ type: 'req', id, method, params }));
  });
  socket.onerror = (event) => end(event.message || 'the gateway does not answer');
  socket.onclose = (event) => end(event.reason || 'the gateway closed the connection');
  socket.onmessage = async ({ data }) => {
    const said = JSON.parse(data);
    if (said.event === 'connect.challenge') {
      const { ok, payload, error } = await call('connect', {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: 'gateway-client', version: '1.0.0', platform: 'linux', mode: 'backend' },
        role: 'operator',
        scopes: ['operator.read', 'operator.write', 'operator.admin'],
        caps: [],
        auth: { token },
      });
      clearTimeout(timer);
      const version = payload?.server?.version ?? '';
      if (ok) resolve({ call, listeners, version, isClosed: () => closed !== '', close: () => socket.close() });
      else end(error?.message ?? 'the gateway refused the token');
    } else if (said.type === 'event') {
      for (const listener of listeners) listener(said.event, said.payload ?? {});
    } else if (said.type === 'res' && !(said.ok && said.payload?.status === 'accepted')) waiting.get(said.id)?.settle(said);
  };
});

/** What the end of a turn says: who answered what, after whom, in how many seconds. */
const ended = ({ ok, payload, error, seconds }) => {
  const meta = payload?.result?.meta?.agentMeta ?? {};
  return {
    seconds,
    error: ok && payload?.status === 'ok' ? '' : error?.message ?? payload?.summary ?? 'it failed',
    code: error?.code ?? '',
    by: meta.provider ? `${meta.provider}/${meta.model}` : '',
    text: (payload?.result?.payloads ?? []).map((each) => each.text ?? '').join(' ').trim(),
    failed: (meta.fallbackAttempts ?? [])
      .map(({ provider, model, reason = '', error: told = '' }) => ({ who: `${provider}/${model}`, why: reason, error: told })),
  };
};

/** Ask a question that leaves no conversation behind, of 0.5 kB where a turn has 42. */
export const ask = async (client, question, { provider, model } = {}, limit = 60) => {
  const session = `model-run-${crypto.randomUUID()}`;
  return ended(await client.call('agent', {
    agentId: 'main',
    message: question,
    idempotencyKey: crypto.randomUUID(),
    sessionId: session,
    sessionKey: `agent:main:explicit:${session}`,
    modelRun: true,
    promptMode: 'none',
    cleanupBundleMcpOnRunEnd: true,
    ...(provider ? { provider, model } : {}),
  }, limit));
};
