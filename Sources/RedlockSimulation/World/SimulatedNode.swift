// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import LockCore
package import Redlock

/// One command as it travels, with what belongs to it beside the command itself.
///
/// A class because it is handed on many times and never changes.
package final class SimulatedCommand {
    package let command: NodeCommand
    package let isWhole: Bool
    package let recordID: RecordID?

    init(_ command: NodeCommand, isWhole: Bool = false, recordID: RecordID? = nil) {
        self.command = command
        self.isWhole = isWhole
        self.recordID = recordID
    }
}

/// A key as it was before a command.
package struct FormerKey {
    package let value: String?
    /// How long it still had to live.
    package let lifeMilliseconds: Int64?

    /// What a server has at the place of a key now.
    package init(_ key: String, on server: SimulatedServer) {
        (value, lifeMilliseconds) = server.valueAndLife(at: key)
    }
}

/// Somebody who looks on when servers carry commands out.
package protocol SimulatedNodeObserver: AnyObject {
    /// The key that a command may change, as it is before; nil for a command that changes none.
    func keyBefore(_ command: NodeCommand, on node: SimulatedNode) -> FormerKey?

    /// The command was carried out.
    func carriedOut(_ command: NodeCommand, on node: SimulatedNode, former: FormerKey?, reply: RESPValue)
}

/// A server and the machine that it runs on: it may be down, stopped, and its clock may go wrong.
package final class SimulatedNode {
    package let world: SimulatedWorld
    /// The place of the node among all of the world.
    package let number: Int
    package let server: SimulatedServer
    /// The clock that keys end by.
    package var clock: SimulatedClock
    /// Whether there is a server that answers.
    package private(set) var isUp = true
    /// Whether it carries out what it is sent; while it does not, commands wait.
    package private(set) var isRunning = true
    /// Who looks on when the server carries a command out.
    package unowned var observer: (any SimulatedNodeObserver)?

    /// Which life of the server it is: connections end with it.
    private(set) var life = 0
    private var waiting: [() -> Void] = []
    /// Those who hear what is published, in the order in which they came.
    private var subscriptions: [SimulatedSubscription] = []

    /// A server without keys, at a time of day.
    package init(
        world: SimulatedWorld,
        number: Int,
        settings: SimulatedServer.Settings,
        wallNanoseconds: Int64,
        wander: SimulatedClock.Wander? = nil
    ) {
        self.world = world
        self.number = number
        clock = SimulatedClock(reading: wallNanoseconds, wander: wander, at: world.now)
        server = SimulatedServer(seed: world.random.next(), settings: settings, interpreter: world.interpreter) { 0 }
        server.clock = { [unowned self] in clock.read(at: world.now) / 1_000 }
        server.publisher = { [unowned self] channel, message in publish(message, to: channel) }
    }

    // MARK: Messages

    func add(_ subscription: SimulatedSubscription) {
        subscriptions.append(subscription)
    }

    func remove(_ subscription: SimulatedSubscription) {
        subscriptions.removeAll { $0 === subscription }
    }

    private func publish(_ message: String, to channel: String) -> Int64 {
        let subscribed = subscriptions.filter { $0.channel == channel }
        for subscription in subscribed { subscription.deliver(message) }
        return Int64(subscribed.count)
    }

    // MARK: Commands

    /// Does something on the server, now or as soon as it goes on; nothing if it is another server by then.
    func enter(_ life: Int, _ work: @escaping () -> Void) {
        guard life == self.life else { return }
        if isRunning { work() } else { waiting.append { [unowned self] in if life == self.life { work() } } }
    }

    func execute(_ command: SimulatedCommand, from process: Int) -> RESPValue {
        let observer = self.observer
        let former = observer?.keyBefore(command.command, on: self)
        let reply = server.execute(command.command, wholeScript: command.isWhole, recordID: command.recordID)
        observer?.carriedOut(command.command, on: self, former: former, reply: reply)
        if world.log != nil, !command.command.isRoutine {
            world.tell("node \(number) < process \(process): \(command.command.summary) > \(reply.summary)")
        }
        return reply
    }

    // MARK: Faults

    /// Ends the server; every connection ends with it.
    package func kill() {
        isUp = false
        life += 1
        waiting = []
        subscriptions = []
    }

    /// Starts the server again.
    package func start(keeping memory: SimulatedServer.Memory) {
        guard !isUp else { return }
        server.restart(keeping: memory)
        isUp = true
        isRunning = true
    }

    /// Stops the server, as after SIGSTOP.
    package func stop() {
        isRunning = false
    }

    /// Lets it go on with what it was sent meanwhile.
    package func goOn() {
        guard !isRunning else { return }
        isRunning = true
        let work = waiting
        waiting = []
        for work in work { work() }
    }
}

extension NodeCommand {
    /// Whether it says nothing of locks.
    var isRoutine: Bool {
        if case .time = self { return true }
        if case .plain(let words) = self {
            return ["INFO", "CONFIG", "TIME", "SCRIPT", "PING", "SUBSCRIBE"].contains(words.first)
        }
        return false
    }

    /// Whether it asks only whether somebody is there.
    var isHeartbeat: Bool {
        switch self {
        case .time: true
        case .plain(let words): words == ["PING"]
        default: false
        }
    }

    /// What it asks for, short.
    var summary: String {
        switch self {
        case .acquire(let acquisition), .acquireInTurn(let acquisition, _), .acquireAll(let acquisition):
            "acquire \(acquisition.locks.text) for \(acquisition.ttlMilliseconds) ms as \(acquisition.ownerToken.shortText)"
        case .acquireShared(let acquisition, _):
            "share \(acquisition.keys.lock) for \(acquisition.ttlMilliseconds) ms as \(acquisition.ownerToken.shortText)"
        case .setIfAbsent(let key, let token, let ttl): "set \(key) for \(ttl) ms as \(token.shortText)"
        case .raise(let locks, let token, let blockEnd, _): "raise \(locks.text) to \(blockEnd) as \(token.shortText)"
        case .extend(let locks, let token, let ttl): "extend \(locks.text) for \(ttl) ms as \(token.shortText)"
        case .extendShared(let keys, let token, let ttl):
            "extend the share of \(keys.lock) for \(ttl) ms as \(token.shortText)"
        case .repair(let repair):
            "repair \(repair.locks.text) for \(repair.ttlMilliseconds) ms as \(repair.ownerToken.shortText)"
        case .repairShared(let keys, let token, let ttl):
            "repair the share of \(keys.lock) for \(ttl) ms as \(token.shortText)"
        case .setLife(let locks, let token, let life):
            "keep \(locks.text) for another \(life) ms as \(token.shortText)"
        case .setLifeShared(let keys, let token, let life):
            "keep the share of \(keys.lock) for another \(life) ms as \(token.shortText)"
        case .release(let releases, let token, _, _): "release \(releases.map(\.keys).text) as \(token.shortText)"
        case .releaseShared(let release, let token, _): "share \(release.keys.lock) no more as \(token.shortText)"
        case .releasePlain(let lock, let token): "release \(lock) as \(token.shortText)"
        case .acquireSlot(let acquisition, let slots, _, _):
            "acquire one of \(slots.count) slots\(slots.end) for \(acquisition.ttlMilliseconds) ms as "
                + acquisition.ownerToken.shortText
        case .releaseSlot(let slots, _, let token, _, _): "release a slot\(slots.end) as \(token.shortText)"
        case .enqueue(let place): "wait in \(place.queue.queue) as \(place.member)"
        case .leaveQueue(_, let queue, let member, _): "wait in \(queue.queue) no more as \(member)"
        case .read(let keys, _): "read \(keys.lock)"
        case .enrol(_, _, let before, let after): "enrol \(before) \(after)"
        case .replaceRecord: "replace the record"
        case .removeForeign(let keys): "remove what is no lock at \(keys.lock)"
        case .raiseByHand(let fence, let atLeast, _): "raise \(fence) to \(atLeast)"
        case .time: "time"
        case .plain(let words): words.joined(separator: " ")
        }
    }
}

extension [NodeCommand.LockKeys] {
    /// The keys of the locks.
    fileprivate var text: String { map(\.lock).joined(separator: " and ") }
}

extension OwnerToken {
    /// Enough to tell owner tokens of one world apart.
    var shortText: Substring { secretText.prefix(6) }
}

extension RESPValue {
    /// What it says, short.
    var summary: String {
        switch self {
        case .simpleString(let text): text
        case .error(let text): "error: \(text.prefix(60))"
        case .integer(let number): "\(number)"
        case .bulkString(let bytes): String(decoding: bytes.prefix(100), as: UTF8.self)
        case .null: "nothing"
        case .array(let elements): "[\(elements.map(\.summary).joined(separator: ", "))]"
        }
    }
}
