/** How the Kubernetes API is reached: its address, whom to trust, and as whom. Read from a kubeconfig or from the pod. */

/** A text that is given as such, or by a file that may be replaced while the agent runs. */
export type Material = { text: string } | { file: string };

export type KubeAccess = {
  /** Base of all requests, `https://10.96.0.1:443`; a path in it stands before every path of the API. */
  server: URL;
  /** Where this was read, for errors: the kubeconfig's path, or the folder of the service account. */
  origin: string;
  /** PEM; absent: the authorities that Node.js brings. */
  ca?: Material;
  /** PEM of the client's certificate chain; comes with its key. */
  certificate?: Material;
  /** PEM. */
  key?: Material;
  /** Bearer token. */
  token?: Material;
  /** The name that the server's certificate must carry, where it is not the host of the address. */
  serverName?: string;
};
