// SPDX-License-Identifier: Apache-2.0

/// What may go wrong in a simulated world.
enum FaultKind: String, CaseIterable, Sendable {
    /// Servers die and come back: with their keys where they are durable, else without the last, some or all of them.
    case restart
    /// Somebody deletes all keys of a server.
    case flush
    /// A server makes room by giving up keys.
    case eviction
    /// A server is replaced by its replica, which lacks the last writes.
    case promotion
    /// Servers answer with errors for a while.
    case refusal
    /// A script fails behind what it wrote.
    case scriptError
    /// Servers forget their scripts.
    case scriptFlush
    /// The counter of a resource is lost or set back on some servers.
    case counterLoss
    /// Servers stop for a while.
    case nodeStop
    /// The clock of a server is set, by more than anybody can overlook.
    case clockJump
    /// The clock of a server is set by a little.
    case smallClockJump
    /// The clock of a server runs wildly fast, or slow, for a while.
    case clockRate
    /// Nothing comes through in one or both directions, between some clients and some servers.
    case stall
    /// Connections break.
    case breakOff
    /// Now and then something takes a hundred times as long.
    case slowness
    /// Answers break off, or there is one too many.
    case garbling
    /// Clients stop for a while.
    case processStop
    /// The machine of a client sleeps.
    case machineSleep
    /// The virtual machine of a client stands still, and its clocks with it.
    case virtualMachinePause
    /// Clients die, and others begin in their place.
    case crash
    /// Callers give up.
    case cancellation
    /// The wall clocks of clients are apart, and are set.
    case wallClock
}

/// One fault that is going to happen.
struct PlannedFault: Sendable {
    let kind: FaultKind
    /// When it begins, in nanoseconds of true time.
    let time: Int64
    /// How long it lasts.
    let duration: Int64
    /// What else chance has to say of it; the fault takes it apart.
    let chance: UInt64

    var description: String {
        "\(kind.rawValue) at \(time.inSeconds) s for \(duration.inSeconds) s (\(String(chance, radix: 16)))"
    }
}

extension Int64 {
    /// Nanoseconds as seconds, with milliseconds.
    var inSeconds: String {
        let milliseconds = self / 1_000_000
        let fraction = "\(abs(milliseconds) % 1_000)"
        return "\(milliseconds / 1_000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }

    static let millisecond: Int64 = 1_000_000
    static let second: Int64 = 1_000_000_000
}
