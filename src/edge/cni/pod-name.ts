/** The pod of an attachment, as runtimes pass it in CNI_ARGS (K8S_POD_NAMESPACE, K8S_POD_NAME). */
export type PodName = { namespace: string; name: string };
