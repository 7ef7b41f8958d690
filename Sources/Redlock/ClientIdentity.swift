// SPDX-License-Identifier: Apache-2.0

internal import RedisTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where the holders of a client's locks are found: the part of an owner token that is the same for all of its attempts.
package struct ClientIdentity: Sendable {
    /// Every field as it stands in an owner token, up to where the time of the attempt goes.
    let fields: String

    /// An identity of the given host, if it is known, and process.
    package init(host: String?, process: Int32) {
        let host = host.map { OwnerField.host.opening + $0.printable(limit: OwnerField.longestHost) } ?? ""
        fields = host + OwnerField.process.opening + "\(process)" + OwnerField.since.opening
    }

    /// Found out once: that asks the system, and owner tokens are made thousands of times a second.
    static let ofThisProcess = ClientIdentity(host: hostName, process: getpid())

    /// What this machine is called; nil if it does not say.
    static let hostName: String? = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}

extension LockStatus.Holder {
    /// Whether the holder says that it runs on a machine of this name; machines and containers may share one.
    package var isOnThisMachine: Bool {
        host != nil && host == ClientIdentity.hostName?.printable(limit: OwnerField.longestHost)
    }
}

/// What may stand behind the label of an owner token: `U+001F name=value`, in any order.
///
/// No label, and no value, has that character, so that a label may be anything else, and ends with the value of the key
/// where a client writes no fields. Readers leave out what they do not know.
enum OwnerField: String, CaseIterable {
    case note
    case host
    case process = "pid"
    /// When the attempt began, in milliseconds since 1970.
    case since
    /// Of a grant that was written down: its fencing token, and when, in milliseconds since 1970, and why it ended.
    case token
    case until
    case ending
    /// Of such a grant: until when, in milliseconds since 1970, the lock was to stay after its lease had ended.
    case kept

    static let separator = UInt8(0x1F)
    static let longestNote = 256
    static let longestHost = 255

    /// What stands before its value.
    var opening: String { "\u{1F}\(rawValue)=" }
}
