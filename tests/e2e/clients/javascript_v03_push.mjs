// Push notifications on @a2a-js/sdk 0.3: `node javascript_v03_push.mjs URL TOKEN JSONRPC|HTTP+JSON HOOK`.
// It prints one JSON object, with what each of its steps came to.
import { randomUUID } from "node:crypto";
import { ClientFactory, ClientFactoryOptions } from "@a2a-js/sdk/client";

const [url, token, binding, hook] = process.argv.slice(2);

const plain = globalThis.fetch;
globalThis.fetch = (target, init = {}) =>
  plain(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [binding] });
const client = await new ClientFactory(options).createFromUrl(url);

function send(text, task, configuration = {}) {
  const message = { kind: "message", messageId: randomUUID(), role: "user", parts: [{ kind: "text", text }] };
  const named = task ? { ...message, taskId: task.id, contextId: task.contextId } : message;
  return client.sendMessage({ message: named, configuration: { blocking: true, ...configuration } });
}

const unnamed = { url: hook, token: "my-token" };
const named = { ...unnamed, id: "mine", authentication: { schemes: ["Bearer"], credentials: "my-credentials" } };
const task = await send("[[ask input What else?]]");
const id = task.id;
const results = { set: [] };

for (const pushNotificationConfig of [named, unnamed, unnamed]) {
  const made = await client.setTaskPushNotificationConfig({ taskId: id, pushNotificationConfig });
  results.set.push([made.taskId === id, made.pushNotificationConfig.id.replace(id, "TASK")]);
}
const got = await client.getTaskPushNotificationConfig({ id, pushNotificationConfigId: "mine" });
results.get = [got.pushNotificationConfig.token, got.pushNotificationConfig.authentication];
if (binding === "JSONRPC") {
  const meant = await client.getTaskPushNotificationConfig({ id });
  results["get without an id"] = meant.pushNotificationConfig.id.replace(id, "TASK");
}
const ids = async () =>
  (await client.listTaskPushNotificationConfig({ id })).map((one) => one.pushNotificationConfig.id.replace(id, "TASK"));
results.list = await ids();
await client.deleteTaskPushNotificationConfig({ id, pushNotificationConfigId: "mine" });
results["list after delete"] = await ids();
await send("[[complete fine]]", task);

const done = await send("hello there", null, { pushNotificationConfig: unnamed });
results["with a message"] = done.status.state;
console.log(JSON.stringify({ results, asked: id, sent: done.id }));
