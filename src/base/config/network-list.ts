/** What of the runtime's network configuration list is a setting (CNI specification 1.1, section 1). */
export const CAPABILITIES = ['portMappings', 'bandwidth', 'ips', 'mac', 'dns'] as const;
export const LIST_VERSIONS = ['0.4.0', '1.0.0', '1.1.0'] as const;

export type ListSettings = {
  networkName: string;
  listVersion: (typeof LIST_VERSIONS)[number];
  capabilities: readonly (typeof CAPABILITIES)[number][];
  /** Where the plugin finds the agent, and keeps DELs for it; absent where it looks by itself. */
  agentSocket?: string;
  stateDirectory?: string;
};
