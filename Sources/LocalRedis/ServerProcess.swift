// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// What tells a process from a later one with the same number.
struct ProcessIdentity: Sendable, Codable, Equatable {
    var pid: Int32
    /// When it was born, in the system's own finest terms; meaningful only to be compared.
    var birth: String
}

/// A look at a process.
struct ProcessSnapshot: Sendable {
    var birth: String
    var isStopped: Bool
    var isZombie: Bool

    #if os(Linux)
        // The birth counts from boot, so after a reboot it could repeat: the boot belongs to it.
        private static let bootIdentifier =
            (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8))?
            .filter { !$0.isWhitespace } ?? ""

        init?(of process: Int32) {
            guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
                let nameEnd = text.lastIndex(of: ")")
            else { return nil }
            let fields = text[text.index(after: nameEnd)...].split(separator: " ")
            let stateField = 0
            let threadCountField = 17
            let startTimeField = 19
            guard fields.count > startTimeField else { return nil }
            birth = "\(Self.bootIdentifier)/\(fields[startTimeField])"
            isStopped = fields[stateField] == "T" || fields[stateField] == "t"
            // The main thread may be gone while others still end; the process holds its ports until the last has.
            isZombie = fields[stateField] == "Z" && (Int(fields[threadCountField]) ?? 0) <= 1
        }
    #elseif canImport(Darwin)
        init?(of process: Int32) {
            var query = [CTL_KERN, KERN_PROC, KERN_PROC_PID, process]
            var information = kinfo_proc()
            var size = MemoryLayout<kinfo_proc>.stride
            guard sysctl(&query, UInt32(query.count), &information, &size, nil, 0) == 0, size > 0 else { return nil }
            let start = information.kp_proc.p_starttime
            birth = "\(start.tv_sec).\(start.tv_usec)"
            isStopped = Int32(information.kp_proc.p_stat) == SSTOP
            isZombie = Int32(information.kp_proc.p_stat) == SZOMB
        }
    #endif
}

/// One process that we, or an earlier process of ours, started; never another that merely got its number.
final class ServerProcess: Sendable {
    enum Condition: Sendable {
        case running, paused, dead
    }

    let identity: ProcessIdentity
    // Looking, reaping and signalling happen under this lock: a child of ours keeps its number until we reap it,
    // so between the look and the signal the number cannot pass to another process.
    private let isDead = Mutex(false)

    /// A child that was just started and not waited for; nil if it has vanished already.
    init?(child process: Int32) {
        guard let snapshot = ProcessSnapshot(of: process) else { return nil }
        identity = ProcessIdentity(pid: process, birth: snapshot.birth)
    }

    /// A process from a record, which may have ended long ago.
    init(recorded identity: ProcessIdentity) {
        self.identity = identity
    }

    var condition: Condition {
        isDead.withLock { look(&$0) }
    }

    /// Whether it was there to be signalled.
    @discardableResult
    func signal(_ number: Int32) -> Bool {
        isDead.withLock { look(&$0) != .dead && sendSignal(number, to: identity.pid) }
    }

    func hasEnded(within limit: Duration) async -> Bool {
        await eventually(within: limit) { self.condition == .dead }
    }

    private func look(_ isDead: inout Bool) -> Condition {
        if isDead { return .dead }
        guard let snapshot = ProcessSnapshot(of: identity.pid), snapshot.birth == identity.birth else {
            isDead = true
            return .dead
        }
        // A child that ended stays a zombie until it is reaped here. Somebody else's zombie is as dead.
        if snapshot.isZombie && reapWithoutWaiting(identity.pid) != 0 {
            isDead = true
            return .dead
        }
        return snapshot.isStopped ? .paused : .running
    }
}
