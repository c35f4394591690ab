// A user's program on @a2a-js/sdk 1: `node javascript_v1.mjs URL TOKEN JSONRPC|HTTP+JSON|GRPC HOOK OPERATION...`.
// It prints one JSON object, with what each of its conversations came to.
import { randomUUID } from "node:crypto";
import { ListTasksRequest, Message, SendMessageRequest, StreamResponse, Task } from "@a2a-js/sdk";
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

function said(text, task, returnImmediately = false) {
  const message = { messageId: randomUUID(), role: "ROLE_USER", parts: [{ text }] };
  const named = task ? { ...message, taskId: task.id, contextId: task.contextId ?? "" } : message;
  return SendMessageRequest.fromJSON({ message: named, configuration: { returnImmediately } });
}

async function send(...what) {
  const sent = await client.sendMessage(said(...what));
  return "status" in sent ? Task.toJSON(sent) : Message.toJSON(sent);
}

async function read(stream) {
  const events = [];
  for await (const event of stream) events.push(StreamResponse.toJSON(event));
  return events;
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error.name;
  }
  return null;
}

const textOf = (task) => (task.artifacts ?? []).flatMap((one) => one.parts.map((part) => part.text ?? "")).join("");
const grown = (events) => events.map((event) => event.artifactUpdate?.artifact.parts[0].text ?? "").join("");

const conversations = {
  async send() {
    const task = await send("[[say hello there]]");
    return [task.status.state, textOf(task)];
  },
  async stream() {
    const events = await read(client.sendMessageStream(said("[[say one two three]]")));
    return [Object.keys(events[0]), grown(events), events.at(-1).statusUpdate.status.state];
  },
  async get() {
    const task = await send("hello");
    const got = await client.getTask({ id: task.id, historyLength: 1, tenant: "" });
    return [got.id === task.id, got.history.length];
  },
  async cancel() {
    const { id } = await send("[[hang 30]]", null, true);
    const cancel = () => client.cancelTask({ id, tenant: "", metadata: undefined });
    return [Task.toJSON(await cancel()).status.state, await refusal(cancel)];
  },
  async resubscribe() {
    const { id } = await send("[[delay 1]] [[say late words]]", null, true);
    const events = await read(client.resubscribeTask({ id, tenant: "" }));
    return [Object.keys(events[0]), grown(events), events.at(-1).statusUpdate.status.state];
  },
  async asked() {
    const events = await read(client.sendMessageStream(said("[[ask input What else?]]")));
    const waiting = events.at(-1).statusUpdate;
    const done = await send("[[complete fine]]", { id: waiting.taskId });
    return [waiting.status.state, waiting.status.message.parts[0].text, done.status.state, done.id === waiting.taskId];
  },
  async bare() {
    const message = await send("[[reply just a message]]");
    return [message.role, message.parts[0].text];
  },
  async list() {
    const contextId = randomUUID();
    const ids = [];
    for (const text of ["one", "two"]) ids.push((await send(text, { id: "", contextId })).id);
    const listed = await client.listTasks(ListTasksRequest.fromJSON({ contextId }));
    return [listed.tasks.map((task) => ids.indexOf(task.id)), listed.totalSize];
  },
  async push() {
    const tenant = "";
    const task = await send("[[ask input What else?]]");
    const wanted = { tenant, taskId: task.id, id: "mine", url: hook, token: "my-token", authentication: undefined };
    const made = await client.createTaskPushNotificationConfig(wanted);
    const got = await client.getTaskPushNotificationConfig({ tenant, taskId: task.id, id: "mine" });
    await send("[[complete fine]]", task);
    return [made.url === hook, got.url === hook, got.token, task.id];
  },
  async card() {
    return (await client.getAgentCard()).skills.map((skill) => skill.id).sort();
  },
  async errors() {
    return [
      await refusal(() => client.getTask({ id: "nothing", tenant: "" })),
      await refusal(() => read(client.sendMessageStream(said("x", { id: "nothing" })))),
    ];
  },
};

const results = {};
for (const name of operations) results[name] = await conversations[name]();
console.log(JSON.stringify(results));
