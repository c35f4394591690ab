// Push notifications on @a2a-js/sdk 1: `node javascript_v1_push.mjs URL TOKEN JSONRPC|HTTP+JSON HOOK [legacy]`.
// With `legacy` it speaks protocol 0.3. It prints one JSON object, with what each of its steps came to.
import { randomUUID } from "node:crypto";
import { SendMessageRequest } from "@a2a-js/sdk";
import { ClientFactory, ClientFactoryOptions } from "@a2a-js/sdk/client";
import { LegacyJsonRpcTransport, LegacyRestTransport } from "@a2a-js/sdk/compat/v0_3/client";

const [url, token, binding, hook, legacy] = process.argv.slice(2);

const plain = globalThis.fetch;
globalThis.fetch = (target, init = {}) =>
  plain(target, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [binding] });
const Legacy = binding === "JSONRPC" ? LegacyJsonRpcTransport : LegacyRestTransport;
const client = legacy ? new Legacy({ endpoint: url }) : await new ClientFactory(options).createFromUrl(url);

function send(text, task, taskPushNotificationConfig) {
  const message = { messageId: randomUUID(), role: "ROLE_USER", parts: [{ text }] };
  const named = task ? { ...message, taskId: task.id, contextId: task.contextId ?? "" } : message;
  return client.sendMessage(SendMessageRequest.fromJSON({ message: named, configuration: { taskPushNotificationConfig } }));
}

const tenant = "";
const authentication = { scheme: "Bearer", credentials: "my-credentials" };
const task = await send("[[ask input What else?]]");
const taskId = task.id;
const results = {};

for (const id of ["mine", "other"]) {
  const made = await client.createTaskPushNotificationConfig({ tenant, taskId, id, url: hook, token: "my-token", authentication });
  (results.set ??= []).push([made.taskId === taskId, made.id]);
}
const got = await client.getTaskPushNotificationConfig({ tenant, taskId, id: "mine" });
results.get = [got.token, got.authentication.scheme, got.authentication.credentials];
const ids = async () =>
  (await client.listTaskPushNotificationConfig({ tenant, taskId, pageSize: 0, pageToken: "" })).configs.map((one) => one.id);
results.list = await ids();
await client.deleteTaskPushNotificationConfig({ tenant, taskId, id: "mine" });
results["list after delete"] = await ids();
await send("[[complete fine]]", task);

const done = await send("hello there", null, { url: hook, token: "my-token" });
console.log(JSON.stringify({ results, asked: taskId, sent: done.id }));
