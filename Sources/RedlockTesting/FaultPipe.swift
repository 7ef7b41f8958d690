// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// One direction of one connection through a ``FaultProxy``: decides what becomes of the bytes, and does nothing itself.
struct FaultPipe {
    enum Action {
        case write(ByteBuffer)
        /// Shut down the sending side of the output.
        case endOutput
        /// Close the connection on both sides.
        case closeConnection
    }

    private enum Item {
        case bytes(ByteBuffer)
        case end
    }

    private var fault: Fault
    private var held: [(item: Item, due: NIODeadline)] = []
    private var nextTrickle: NIODeadline = .distantPast
    private var allowance = 0
    private(set) var isOutputEnded = false
    private(set) var counts = FaultProxy.Statistics.Bytes()

    init(fault: Fault) {
        self.fault = fault
        apply(fault)
    }

    /// Replaces the fault; what this releases comes with the next ``actions(now:)``.
    mutating func set(_ fault: Fault) {
        self.fault = fault
        apply(fault)
    }

    mutating func receive(_ bytes: ByteBuffer, now: NIODeadline, random: inout SeededRandom) {
        counts.received += bytes.readableBytes
        guard fault != .blackHole, !isOutputEnded else {
            counts.discarded += bytes.readableBytes
            return
        }
        counts.held += bytes.readableBytes
        hold(.bytes(bytes), now: now, random: &random)
    }

    /// The sender has ended its stream.
    mutating func endInput(now: NIODeadline, random: inout SeededRandom) {
        guard fault != .blackHole, !isOutputEnded else { return }
        hold(.end, now: now, random: &random)
    }

    /// What has to be done by now.
    mutating func actions(now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        while !isOutputEnded, let first = held.first, isDue(first.due, now: now) {
            switch first.item {
            case .end:
                held.removeFirst()
                end(&actions)
            case .bytes(var bytes):
                let taken = take(from: &bytes, now: now)
                if taken.readableBytes > 0 {
                    actions.append(contentsOf: writes(of: taken))
                }
                if bytes.readableBytes > 0 {
                    held[0].item = .bytes(bytes)
                } else {
                    held.removeFirst()
                }
                if case .truncate = fault, allowance == 0 {
                    discardHeld()
                    isOutputEnded = true
                    actions.append(.closeConnection)
                }
            }
        }
        if fault == .endOfStream, !isOutputEnded {
            end(&actions)
        }
        return actions
    }

    /// When ``actions(now:)`` will next have something that time alone brings.
    var nextDeadline: NIODeadline? {
        guard !isOutputEnded, let first = held.first else { return nil }
        switch fault {
        case .delay: return first.due
        case .trickle: return nextTrickle
        default: return nil
        }
    }

    /// Whether the fault lets neither bytes nor a reset through.
    var isCut: Bool {
        fault == .stall || fault == .blackHole
    }

    /// Gives up what is held.
    private mutating func discardHeld() {
        counts.discarded += counts.held
        counts.held = 0
        held.removeAll()
    }

    /// Counts bytes that the test put into the output by itself.
    mutating func countInjection(byteCount: Int) {
        counts.forwarded += byteCount
    }

    private mutating func apply(_ fault: Fault) {
        switch fault {
        case .truncate(let byteCount):
            allowance = byteCount
        case .trickle:
            nextTrickle = .distantPast
        case .blackHole:
            discardHeld()
        default:
            break
        }
    }

    private mutating func hold(_ item: Item, now: NIODeadline, random: inout SeededRandom) {
        var due = now
        if case .delay(let duration, let jitter) = fault {
            due = now + .nanoseconds((duration + random.duration(upTo: jitter)).nanoseconds)
        }
        // Jitter never lets bytes overtake each other.
        held.append((item, max(due, held.last?.due ?? due)))
    }

    private func isDue(_ due: NIODeadline, now: NIODeadline) -> Bool {
        switch fault {
        case .stall, .blackHole: false
        case .delay: due <= now
        case .trickle: nextTrickle <= now
        case .pass, .truncate, .endOfStream, .duplicate: true
        }
    }

    /// Takes as many of the bytes as the fault lets pass at once.
    private mutating func take(from bytes: inout ByteBuffer, now: NIODeadline) -> ByteBuffer {
        var byteCount = bytes.readableBytes
        switch fault {
        case .trickle(let bytesAtOnce, let interval):
            byteCount = min(byteCount, max(1, bytesAtOnce))
            nextTrickle = now + .nanoseconds(interval.nanoseconds)
        case .truncate:
            byteCount = min(byteCount, allowance)
            allowance -= byteCount
        default:
            break
        }
        counts.held -= byteCount
        return bytes.readSlice(length: byteCount) ?? ByteBuffer()
    }

    private mutating func writes(of bytes: ByteBuffer) -> [Action] {
        let copies = fault == .duplicate ? 2 : 1
        counts.forwarded += copies * bytes.readableBytes
        return Array(repeating: .write(bytes), count: copies)
    }

    private mutating func end(_ actions: inout [Action]) {
        discardHeld()
        isOutputEnded = true
        actions.append(.endOutput)
    }
}
