/** The same question to many agents, a few at a time. */
import type { Agent } from './agent-access.ts';

const AT_ONCE = 16;

/** @throws the first refusal. */
export async function askEach<T>(
  agents: readonly Agent[],
  ask: (agent: Agent) => Promise<T>,
): Promise<{ agent: Agent; answer: T }[]> {
  const answers: { agent: Agent; answer: T }[] = [];
  const waiting = agents.values();
  const work = async () => {
    for (const agent of waiting) answers.push({ agent, answer: await ask(agent) });
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, agents.length) }, work));
  return answers;
}
