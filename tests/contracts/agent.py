"""
The contract of the port `Agent`: what the service relies on, whatever the runtime.

A harness tells how an adapter is made to do things (`harness.AgentHarness`); `test_agent.py` lists the harnesses.
"""

from tests.contracts.agent_hearing import HearingContract
from tests.contracts.agent_turns import TurnContract


class AgentContract(TurnContract, HearingContract):
    """The suite."""
