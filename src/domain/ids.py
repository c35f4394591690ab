"""A type of its own for every identifier, so that one is never passed for another."""

from typing import NewType

TaskId = NewType("TaskId", str)
ContextId = NewType("ContextId", str)
MessageId = NewType("MessageId", str)
"""A message's id, A2A's or the runtime's: each is opaque to the other side."""
ArtifactId = NewType("ArtifactId", str)
PartId = NewType("PartId", str)
"""The runtime's id of one block of output. Artifacts take it as theirs, so a block told twice is one artifact."""
SessionId = NewType("SessionId", str)
RequestId = NewType("RequestId", str)
"""The runtime's id of a permission or a question it asked for."""
Principal = NewType("Principal", str)
"""Who asks, as authentication named them. Tasks, contexts and sessions belong to one."""
Seq = NewType("Seq", int)
"""An update's place in its task's journal, from 1 without holes."""
PushConfigId = NewType("PushConfigId", str)
"""A push notification configuration's id, unique within its task."""
