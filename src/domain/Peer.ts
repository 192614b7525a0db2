/** Who is at the other end of a connection, as far as the transport knows. */
export interface Peer {
  /**
   * The client's IP address: that of the socket, or, behind a trusted proxy, the one that the proxy names. Empty where there
   * is no network in between.
   */
  readonly address: string
  /** Does it come from this machine, straight? Nothing that came through a proxy is local. */
  readonly isLocal: boolean
}

/** A peer within the process: tests, embedding. */
export const inProcess: Peer = { address: "", isLocal: true }
