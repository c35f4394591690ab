// A user's program on @a2a-js/sdk 0.3: `node javascript_v03.mjs URL TOKEN JSONRPC|HTTP+JSON|GRPC HOOK OPERATION...`.
// It prints one JSON object, with what each of its conversations came to.
import { randomUUID } from "node:crypto";
import { ClientFactory, ClientFactoryOptions } from "@a2a-js/sdk/client";

const [url, token, binding, hook, ...operations] = process.argv.slice(2);

const plain = globalThis.fetch;
globalThis.fetch = (target, init = {}) =>
  plain(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

async function grpcTransport() {
  const { GrpcTransportFactory } = await import("@a2a-js/sdk/client/grpc");
  const { default: grpc } = await import("@grpc/grpc-js");
  const named = (call, next) =>
    new grpc.InterceptingCall(next(call), {
      start(metadata, listener, begin) {
        metadata.set("authorization", `Bearer ${token}`);
        begin(metadata, listener);
      },
    });
  return new GrpcTransportFactory({ grpcCallOptions: { interceptors: [named] } });
}

const transports = binding === "GRPC" ? [await grpcTransport()] : [];
const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
  preferredTransports: [binding],
  transports,
});
const client = await new ClientFactory(options).createFromUrl(url);

function said(text, task, ...parts) {
  const message = { kind: "message", messageId: randomUUID(), role: "user", parts: [{ kind: "text", text }, ...parts] };
  return task ? { ...message, taskId: task.id, contextId: task.contextId } : message;
}

const send = (message, blocking = true) => client.sendMessage({ message, configuration: { blocking } });
const textOf = (task) => (task.artifacts ?? []).flatMap((one) => one.parts.map((part) => part.text ?? "")).join("");

async function read(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error.name === "Error" ? (/code:? (-\d+)/i.exec(error.message)?.[1] ?? error.message) : error.name;
  }
  return null;
}

function grown(events) {
  const texts = events.filter((event) => event.kind === "artifact-update").map((event) => event.artifact.parts[0].text);
  return texts.join("");
}

const conversations = {
  async send() {
    const task = await send(said("[[say hello there]]"));
    return [task.kind, task.status.state, textOf(task)];
  },
  async stream() {
    const events = await read(client.sendMessageStream({ message: said("[[say one two three]]") }));
    const last = events.at(-1);
    const early = events.slice(0, -1).some((event) => event.final);
    return [events[0].kind, grown(events), last.kind, last.status.state, last.final, early];
  },
  async get() {
    const task = await send(said("hello"));
    const got = await client.getTask({ id: task.id, historyLength: 1 });
    return [got.id === task.id, got.status.state, got.history.length];
  },
  async cancel() {
    const task = await send(said("[[hang 30]]"), false);
    const canceled = await client.cancelTask({ id: task.id });
    return [canceled.status.state, await refusal(() => client.cancelTask({ id: task.id }))];
  },
  async resubscribe() {
    const task = await send(said("[[delay 1]] [[say late words]]"), false);
    const events = await read(client.resubscribeTask({ id: task.id }));
    return [events[0].kind, grown(events), events.at(-1).status.state];
  },
  async asked() {
    const events = await read(client.sendMessageStream({ message: said("[[ask input What else?]]") }));
    const waiting = events.at(-1).status;
    const done = await send(said("[[complete fine]]", { id: events[0].id, contextId: events[0].contextId }));
    return [waiting.state, events.at(-1).final, waiting.message.parts[0].text, done.status.state, done.id === events[0].id];
  },
  async permitted() {
    const task = await send(said("[[ask permission bash rm *]] [[say done]]"));
    const done = await send(said("yes", task));
    return [task.status.state, task.status.message.parts.map((part) => part.kind), done.status.state, textOf(done)];
  },
  async bare() {
    const message = await send(said("[[reply just a message]]"));
    return [message.kind, message.role, message.parts[0].text];
  },
  async push() {
    const task = await send(said("[[ask input What else?]]"));
    const pushNotificationConfig = { id: "mine", url: hook, token: "my-token" };
    const made = await client.setTaskPushNotificationConfig({ taskId: task.id, pushNotificationConfig });
    const got = await client.getTaskPushNotificationConfig({ id: task.id, pushNotificationConfigId: "mine" });
    await send(said("[[complete fine]]", task));
    const urls = [made, got].map((one) => one.pushNotificationConfig.url === hook);
    return [...urls, got.pushNotificationConfig.token, task.id];
  },
  async card() {
    return (await client.getAgentCard()).skills.map((skill) => skill.id).sort();
  },
  async errors() {
    const gone = said("x", { id: "nothing" });
    return [
      await refusal(() => client.getTask({ id: "nothing" })),
      await refusal(() => read(client.sendMessageStream({ message: gone }))),
    ];
  },
};

const results = {};
for (const name of operations) results[name] = await conversations[name]();
console.log(JSON.stringify(results));
