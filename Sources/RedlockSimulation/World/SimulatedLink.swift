// SPDX-License-Identifier: Apache-2.0

internal import DequeModule
internal import Hiredis
internal import LockCore
internal import RedisTransport
internal import Redlock

/// The way from a process to a node, as `NodeLink` is in the real surroundings: connects, sends, connects again.
final class SimulatedLink {
    struct Configuration {
        let connectTimeoutNanoseconds: Int64
        let replyTimeoutNanoseconds: Int64
        let handshake: [SimulatedCommand]
    }

    private enum State {
        case idle
        case connecting(attempt: Int)
        case ready(SimulatedConnection)
        case waiting
        case closed
    }

    private(set) var failure: NodeFailure? = NodeFailure(.connecting, "not connected yet")
    let place: Int
    let node: SimulatedNode
    let route: SimulatedRoute
    let process: SimulatedProcess
    private let configuration: Configuration
    /// Nil once the link is closed.
    var delegate: (any NodeLinkDelegate)?
    private var state = State.idle
    private var attempts = 0
    private var readySince: Int64 = 0
    private var deadlineTimer: SimulatedTimer?
    private var backoff = Backoff(firstNanoseconds: 50_000_000, longestNanoseconds: 2_000_000_000)

    init(
        place: Int,
        node: SimulatedNode,
        route: SimulatedRoute,
        process: SimulatedProcess,
        configuration: Configuration,
        delegate: (any NodeLinkDelegate)? = nil
    ) {
        self.place = place
        self.node = node
        self.route = route
        self.process = process
        self.configuration = configuration
        self.delegate = delegate
    }

    // MARK: Sending

    func append(_ command: SimulatedCommand, receiver: any ReplyReceiver, inheritsDeadline: Bool) {
        guard case .ready(let connection) = state else {
            receiver.failed(failure ?? NodeFailure(.closed, "not connected"), at: place)
            return
        }
        connection.append(command, receiver: receiver, inheritsDeadline: inheritsDeadline)
    }

    func flush() {
        if case .ready(let connection) = state { connection.flush() }
    }

    /// Takes what the node sends of its own accord to the process, behind all that it sent before.
    func arrive(_ work: @escaping () -> Void) {
        if case .ready(let connection) = state { connection.arrive(work) }
    }

    // MARK: Connecting

    func start() {
        guard case .idle = state else { return }
        connect()
    }

    func close() {
        let before = state
        let end = NodeFailure(.closed, "the client was shut down")
        state = .closed
        failure = end
        deadlineTimer?.cancel()
        if case .ready(let connection) = before { connection.end(end) }
        delegate = nil
    }

    /// Ends the connection, in which whoever uses it found something wrong.
    func abandonConnection(_ failure: NodeFailure) {
        if case .ready(let connection) = state { connection.end(failure) }
    }

    /// Has the connection break, as when something between the two forgets it.
    func breakOff() {
        if case .ready(let connection) = state { connection.breakOff() }
    }

    /// Ends the connection without a word, and lets nothing through any more.
    func cutOff() {
        if case .ready(let connection) = state { connection.cutOff() }
        close()
    }

    /// There and back for the connection, and there and back for the handshake, which the node answers in between.
    private func connect() {
        attempts += 1
        let attempt = attempts
        state = .connecting(attempt: attempt)
        deadlineTimer = process.schedule(afterNanoseconds: configuration.connectTimeoutNanoseconds) { [self] in
            attemptFailed(attempt, NodeFailure(.timedOut, "no connection in time"))
        }
        process.world.schedule(after: route.delay() + route.delay() + route.delay()) { [self] in
            route.pass(.toNode) { [self] in
                guard node.isUp else {
                    return process.enter { [self] in
                        attemptFailed(attempt, NodeFailure(.unreachable, "connection refused"))
                    }
                }
                let life = node.life
                node.enter(life) { [self] in shakeHands(attempt, life) }
            }
        }
    }

    private func shakeHands(_ attempt: Int, _ life: Int) {
        guard case .connecting(attempt) = state else { return }
        let replies = configuration.handshake.map { node.execute($0, from: process.number) }
        process.world.schedule(after: route.delay()) { [self] in
            route.pass(.toProcess) { [self] in
                process.enter { [self] in handshakeEnded(attempt, life, replies) }
            }
        }
    }

    private func handshakeEnded(_ attempt: Int, _ life: Int, _ replies: [RESPValue]) {
        guard case .connecting(attempt) = state else { return }
        if let problem = replies.lazy.compactMap(\.error).first(where: {
            $0.hasPrefix("LOADING") || $0.hasPrefix("BUSY")
        }) {
            return attemptFailed(attempt, NodeFailure(.notServing, problem))
        }
        deadlineTimer?.cancel()
        readySince = process.world.now
        failure = nil
        state = .ready(
            SimulatedConnection(
                link: self,
                life: life,
                replyTimeoutNanoseconds: configuration.replyTimeoutNanoseconds
            )
        )
        delegate?.linkBecameReady(place, handshakeReplies: replies)
    }

    private func attemptFailed(_ attempt: Int, _ failure: NodeFailure) {
        guard case .connecting(attempt) = state else { return }
        deadlineTimer?.cancel()
        reconnectLater(after: failure)
    }

    func connectionEnded(_ connection: SimulatedConnection, _ failure: NodeFailure) {
        guard case .ready(let current) = state, current === connection else { return }
        if process.world.now - readySince > 2_000_000_000 { backoff.reset() }
        reconnectLater(after: failure)
    }

    private func reconnectLater(after failure: NodeFailure) {
        let delay =
            failure.isPermanent
            ? process.world.number(in: 25_000_000_000...35_000_000_000)
            : backoff.nextNanoseconds(random: process.world.random.next())
        self.failure = failure
        state = .waiting
        deadlineTimer = process.schedule(afterNanoseconds: delay) { [self] in
            guard case .waiting = state else { return }
            connect()
        }
        delegate?.linkWentDown(place, failure: failure)
    }
}

/// One connection, as `RedisConnection` is in the real surroundings: commands out, replies in, in the same order.
final class SimulatedConnection {
    private struct Awaited {
        let receiver: any ReplyReceiver
        let deadline: Int64
    }

    private enum State {
        case open
        /// The end is decided; what is sent now still goes out, but its replies are not waited for.
        case ending
        case ended
    }

    private let link: SimulatedLink
    private let life: Int
    private let replyTimeoutNanoseconds: Int64
    private var awaited = Deque<Awaited>()
    private var outgoing: [SimulatedCommand] = []
    private var deadlineAtHand: Int64?
    private var deadlineTimer: SimulatedTimer?
    private var state = State.open
    private var isCutOff = false
    private var losesCommands = false
    private var lastArrivalAtNode: Int64 = 0
    private var lastArrivalAtProcess: Int64 = 0

    init(link: SimulatedLink, life: Int, replyTimeoutNanoseconds: Int64) {
        self.link = link
        self.life = life
        self.replyTimeoutNanoseconds = replyTimeoutNanoseconds
    }

    private var process: SimulatedProcess { link.process }
    private var world: SimulatedWorld { link.process.world }
    private var timerNow: Int64 { process.monotonicClock.read(at: world.now) }

    // MARK: Sending

    func append(_ command: SimulatedCommand, receiver: any ReplyReceiver, inheritsDeadline: Bool) {
        guard state != .ended else {
            return receiver.failed(NodeFailure(.closed, "the connection has ended"), at: link.place)
        }
        outgoing.append(command)
        let inherited = inheritsDeadline ? deadlineAtHand : nil
        awaited.append(Awaited(receiver: receiver, deadline: inherited ?? timerNow + replyTimeoutNanoseconds))
        if inherited != nil { deadlineTimer?.cancel() }
        if deadlineTimer == nil || inherited != nil { scheduleDeadlineTimer() }
    }

    /// What is written at once mostly arrives at once.
    func flush() {
        guard !outgoing.isEmpty else { return }
        let commands = outgoing
        outgoing = []
        guard !isCutOff else { return }
        let cut =
            commands.count > 1 && world.happens(perMille: 50) ? Int(world.number(in: 1...Int64(commands.count - 1))) : 0
        if cut > 0 { send(Array(commands[..<cut])) }
        send(cut > 0 ? Array(commands[cut...]) : commands)
    }

    private func send(_ commands: [SimulatedCommand]) {
        if commands.count == 1, commands[0].command.isHeartbeat { world.noteHeartbeat() }
        lastArrivalAtNode = max(lastArrivalAtNode + 1, world.now + link.route.delay())
        world.schedule(at: lastArrivalAtNode) { [self] in
            if link.route.isOpen(.toNode) { return arriveAtNode(commands) }
            link.route.wait(.toNode) { [self] in arriveAtNode(commands) }
        }
    }

    private func arriveAtNode(_ commands: [SimulatedCommand]) {
        // What runs into another life of the server is answered by its end.
        guard life == link.node.life else { return reset() }
        guard !losesCommands else { return }
        if link.node.isRunning { return carryOut(commands) }
        link.node.enter(life) { [self] in carryOut(commands) }
    }

    // MARK: At the node

    private func carryOut(_ commands: [SimulatedCommand]) {
        var replies = commands.map { link.node.execute($0, from: process.number) }
        // A process that closed the connection is not answered, but what it sent has been done.
        guard state == .open else { return }
        var breaksOff = false
        if link.route.garbledPerMille > 0, world.happens(perMille: link.route.garbledPerMille) {
            if world.happens(perMille: 500) {
                let place = Int(world.number(in: 0...Int64(replies.count)))
                replies.insert(replies[min(place, replies.count - 1)], at: place)
            } else {
                replies.removeLast(Int(world.number(in: 1...Int64(replies.count))))
                breaksOff = true
            }
            world.note(Int64(replies.count), "the answers of node \(link.node.number) are garbled")
        }
        arrive { [self] in
            if !replies.isEmpty { received(replies) }
            if breaksOff { end(NodeFailure(.closed, "the server closed the connection")) }
        }
    }

    func arrive(_ work: @escaping () -> Void) {
        lastArrivalAtProcess = max(lastArrivalAtProcess + 1, world.now + link.route.delay())
        world.schedule(at: lastArrivalAtProcess) { [self] in
            if link.route.isOpen(.toProcess) { return process.enter(work) }
            link.route.wait(.toProcess) { [self] in process.enter(work) }
        }
    }

    /// Ends the connection on the way: what is under way to the node is lost, or still arrives.
    func breakOff() {
        losesCommands = world.happens(perMille: 500)
        reset()
    }

    /// Tells the process that the server is not there any more.
    func reset() {
        arrive { [self] in end(NodeFailure(.closed, "the server closed the connection")) }
    }

    // MARK: Replies

    private func received(_ replies: [RESPValue]) {
        guard state == .open else { return }
        guard replies.count <= awaited.count else {
            return end(NodeFailure(.protocolViolation, "the server sent a reply that nobody asked for"))
        }
        for reply in replies {
            guard let first = awaited.popFirst() else { break }
            deadlineAtHand = first.deadline
            first.receiver.received(reply, from: link.place)
        }
        deadlineAtHand = nil
        // Nobody would notice, and a world has less to do.
        if awaited.isEmpty {
            deadlineTimer?.cancel()
            deadlineTimer = nil
        }
    }

    private func scheduleDeadlineTimer() {
        guard state == .open, let next = awaited.lazy.map(\.deadline).min() else {
            deadlineTimer = nil
            return
        }
        deadlineTimer = process.schedule(afterNanoseconds: next - timerNow) { [self] in
            deadlineTimerFired()
        }
    }

    private func deadlineTimerFired() {
        let now = timerNow
        if awaited.contains(where: { $0.deadline <= now }) {
            if isPlanted(.connectionKeptAfterTimeout) { return keepOn() }
            end(NodeFailure(.timedOut, "no answer in time"))
        } else {
            scheduleDeadlineTimer()
        }
    }

    /// What a connection must not do.
    private func keepOn() {
        let late = awaited.removeFirst()
        late.receiver.failed(NodeFailure(.timedOut, "no answer in time"), at: link.place)
        scheduleDeadlineTimer()
    }

    // MARK: Ending

    /// Lets nothing through any more; what is on its way arrives.
    func cutOff() {
        isCutOff = true
    }

    func end(_ failure: NodeFailure) {
        guard state == .open else { return }
        state = .ending
        deadlineTimer?.cancel()
        let inDoubt = awaited
        awaited.removeAll()
        for command in inDoubt { command.receiver.failed(failure, at: link.place) }
        flush()
        state = .ended
        let lastWords = awaited
        awaited.removeAll()
        for command in lastWords { command.receiver.failed(failure, at: link.place) }
        link.connectionEnded(self, failure)
    }
}
