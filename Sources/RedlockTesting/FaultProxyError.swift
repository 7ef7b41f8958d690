// SPDX-License-Identifier: Apache-2.0

/// Why a ``FaultProxy`` could not be started or healed.
public enum FaultProxyError: Error, Hashable, CustomStringConvertible, Sendable {
    /// The target is not an IP address: host names are not resolved, a test should know where its server is.
    case hostIsNotAnAddress(String)
    /// The proxy has been stopped.
    case stopped

    /// One line: what happened, and what to do.
    public var description: String {
        switch self {
        case .hostIsNotAnAddress(let host):
            "the fault proxy cannot reach \"\(host)\": give an IP address such as 127.0.0.1"
        case .stopped:
            "the fault proxy has been stopped: start another one"
        }
    }
}
