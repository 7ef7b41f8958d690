// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockSimulation

/// What clients do with locks.
extension Simulation {
    /// Has a member take locks, one after the other, until its process dies or nobody begins work any more.
    func beginWork(of member: Member) {
        if scenario.holdsElection { return beginCampaign(of: member) }
        for _ in 0..<scenario.tasksPerClient { beginTask(of: member) }
    }

    private func beginTask(of member: Member) {
        let client = member.client
        begin(client) { [self] in
            while isOpen, member.client === client {
                try? await client.process.sleep(nanoseconds: world.number(in: 0...scenario.longestRest))
                guard isOpen, member.client === client else { return }
                await work(member, client)
            }
        }
    }

    private func work(_ member: Member, _ client: SimulatedClient) async {
        let wish = someWish()
        switch world.number(in: 0...9) {
        case 0: await tryLease(member, client, wish)
        case 1...3: await holdLease(member, client, wish)
        case 4 where scenario.faultKinds.contains(.cancellation): await giveUp(member, client, wish)
        default: await runBody(member, client, wish)
        }
    }

    /// What somebody wants, and how.
    struct Wish {
        /// Sorted.
        let names: [String]
        var isShared = false
        var isFair = false
        /// One of how many slots; nil for a lock.
        var slotCount: Int?

        /// How many slots anybody believes that there are.
        static let mostSlots = 3

        var text: String { names.joined(separator: " and ") }

        /// What is judged by itself: each slot is.
        var judgedNames: [String] {
            guard slotCount != nil else { return names }
            return (0..<Self.mostSlots).map { "\(names[0]) slot \($0)" }
        }
    }

    private func someWish() -> Wish {
        let resource = world.pick(resources)
        if world.happens(perMille: scenario.sharedPerMille) { return Wish(names: [resource], isShared: true) }
        if resources.count > 1, world.happens(perMille: scenario.severalPerMille) {
            return Wish(names: Set([resource, world.pick(resources)]).sorted())
        }
        let isFair = world.happens(perMille: scenario.fairPerMille)
        guard world.happens(perMille: scenario.slotsPerMille) else { return Wish(names: [resource], isFair: isFair) }
        // Some are set up wrongly.
        let count = world.happens(perMille: 100) ? Wish.mostSlots : 2
        return Wish(names: [resource], isFair: isFair, slotCount: count)
    }

    /// The usual one of the member, or short ones as often as long ones.
    private func someTTL(_ member: Member) -> Int64 {
        let least = scenario.nodeTimeout * 10
        let longest = longestTTL(ofMember: member.number)
        // Only locks that live as long are handed over from one task to another.
        if scenario.hasOneTTL || world.happens(perMille: 500) { return min(longest, least * Int64(2 + member.number)) }
        let limits = [least * 2, least * 10, longest].map { min($0, longest) }
        return world.number(in: least...world.pick(limits))
    }

    private func options(_ ttl: Int64, wait: WaitPolicy, label: String, _ wish: Wish) -> LockOptions {
        let minimumHold =
            world.happens(perMille: scenario.minimumHoldPerMille)
            ? Duration.nanoseconds(world.number(in: 1...scenario.maximumTTL)) : nil
        return LockOptions(
            ttl: .nanoseconds(ttl),
            wait: wait,
            minimumHold: minimumHold,
            label: label,
            fair: wish.isFair
        )
    }

    /// Tells whose lock it is that should have been released.
    func label(of client: SimulatedClient) -> String { "kept by \(client.process.number)" }

    private func someWait() -> WaitPolicy {
        let longest = min(scenario.maximumTTL, 2 * .second)
        return world.happens(perMille: 700) ? .atMost(.nanoseconds(world.number(in: 0...longest))) : .forever
    }

    /// A body under a lock that is renewed for it.
    private func runBody(_ member: Member, _ client: SimulatedClient, _ wish: Wish) async {
        let wait = someWait()
        let ttl = someTTL(member)
        let plan = BodyPlan(
            ttl: ttl,
            slotCount: wish.slotCount,
            isStubborn: world.happens(perMille: 100),
            steps: Int(world.number(in: 1...3)),
            highest: judge.highestTokens(of: wish.judgedNames),
            watch: Stopwatch(client.process, wait)
        )
        do {
            let options = options(ttl, wait: wait, label: label(of: client), wish)
            if wish.isShared {
                try await client.redlock.withLock(wish.names[0], mode: .shared, options: options) { [self] lease in
                    await runSteps(lease, member, client, plan)
                }
            } else if let count = wish.slotCount {
                try await client.redlock.withSlot(of: wish.names[0], limit: count, options: options) { [self] lease in
                    await runSteps(lease, member, client, plan)
                }
            } else {
                try await client.redlock.withLock(wish.names, options: options) { [self] lease in
                    await runSteps(lease, member, client, plan)
                }
            }
        } catch {
            note(error, client, wish)
            plan.watch.judge(judge)
            // At the end, those who are still at it are shut down.
            guard scenario.isHarmless, !isDone, (error as? RedlockError)?.code == .lost else { return }
            judge.violated(.needlessLoss, "client \(member.number) lost \(wish.text): \(error)")
        }
        if let (holding, ended) = plan.ended { judge.released(holding, begun: ended, drift: scenario.drift) }
    }

    private func runSteps<Kind>(
        _ lease: Lease<Kind>,
        _ member: Member,
        _ client: SimulatedClient,
        _ plan: BodyPlan
    ) async {
        plan.watch.judge(judge)
        let holding = Judge.Holding(
            client: member.number,
            of: client,
            lease: lease,
            slotCount: plan.slotCount,
            ttl: plan.ttl,
            isWatched: true
        )
        judge.granted(holding, after: plan.highest)
        defer {
            judge.ended(holding)
            plan.ended = (holding, at: world.now)
        }
        for _ in 0..<plan.steps {
            if Task.isCancelled, !plan.isStubborn { break }
            await write(holding, client, thinking: world.number(in: 0...plan.ttl / 4))
            judge.look(at: holding, isCancelled: Task.isCancelled)
            try? await client.process.sleep(nanoseconds: world.number(in: 0...plan.ttl / 2))
            judge.look(at: holding, isCancelled: Task.isCancelled)
        }
    }

    /// Whoever has a lock alone writes; whoever shares one only reads.
    private func write(_ holding: Judge.Holding, _ client: SimulatedClient, thinking: Int64) async {
        guard let token = holding.token else {
            try? await client.process.sleep(nanoseconds: thinking)
            return
        }
        for name in holding.resources {
            await store.increment(name, token: token, in: client.process, thinking: thinking)
        }
    }

    /// A lease that its holder looks after, or forgets.
    private func holdLease(_ member: Member, _ client: SimulatedClient, _ wish: Wish) async {
        let isForgotten = world.happens(perMille: 300)
        let ttl = someTTL(member)
        let wait = someWait()
        let label = isForgotten ? "forgotten by \(client.process.number)" : label(of: client)
        let options = options(ttl, wait: wait, label: label, wish)
        let highest = judge.highestTokens(of: wish.judgedNames)
        let watch = Stopwatch(client.process, wait)
        do {
            if wish.isShared {
                let lease = try await client.redlock.acquire(wish.names[0], mode: .shared, options: options)
                watch.judge(judge)
                await use(lease, member, client, ttl, wish, after: highest, isForgotten: isForgotten)
            } else {
                let lease = try await acquire(wish, client, options)
                watch.judge(judge)
                await use(lease, member, client, ttl, wish, after: highest, isForgotten: isForgotten)
            }
        } catch {
            note(error, client, wish)
            watch.judge(judge)
        }
    }

    private func acquire(_ wish: Wish, _ client: SimulatedClient, _ options: LockOptions) async throws -> Lease<Fenced>
    {
        guard let count = wish.slotCount else { return try await client.redlock.acquire(wish.names, options: options) }
        return try await client.redlock.acquireSlot(of: wish.names[0], limit: count, options: options)
    }

    private func tryAcquire(
        _ wish: Wish,
        _ client: SimulatedClient,
        _ options: LockOptions
    ) async throws -> Lease<Fenced>? {
        guard let count = wish.slotCount else {
            return try await client.redlock.tryAcquire(wish.names, options: options)
        }
        return try await client.redlock.tryAcquireSlot(of: wish.names[0], limit: count, options: options)
    }

    private func tryLease(_ member: Member, _ client: SimulatedClient, _ wish: Wish) async {
        let highest = judge.highestTokens(of: wish.judgedNames)
        let ttl = someTTL(member)
        do {
            let options = options(ttl, wait: .none, label: label(of: client), wish)
            if wish.isShared {
                let lease = try await client.redlock.tryAcquire(wish.names[0], mode: .shared, options: options)
                if let lease { await use(lease, member, client, ttl, wish, after: highest, isForgotten: false) }
            } else {
                let lease = try await tryAcquire(wish, client, options)
                if let lease { await use(lease, member, client, ttl, wish, after: highest, isForgotten: false) }
            }
        } catch {
            note(error, client, wish)
        }
    }

    private func use<Kind>(
        _ lease: Lease<Kind>,
        _ member: Member,
        _ client: SimulatedClient,
        _ ttl: Int64,
        _ wish: Wish,
        after highest: [String: Int64],
        isForgotten: Bool
    ) async {
        let holding = Judge.Holding(
            client: member.number,
            of: client,
            lease: lease,
            slotCount: wish.slotCount,
            ttl: ttl,
            isWatched: false
        )
        judge.granted(holding, after: highest)
        for _ in 0..<world.number(in: 0...3) {
            await write(holding, client, thinking: 0)
            try? await client.process.sleep(nanoseconds: world.number(in: 0...ttl / 2))
            judge.look(at: holding.resources)
            let otherTTL = world.happens(perMille: 500) ? ttl : someTTL(member)
            if world.happens(perMille: 500), (try? await lease.extend(ttl: .nanoseconds(otherTTL))) != nil {
                lookAtExtension(of: lease)
            }
            judge.look(at: holding.resources)
        }
        if isForgotten {
            // It counts until its validity ends, by itself.
            while lease.isValid, isOpen, member.client === client {
                try? await client.process.sleep(nanoseconds: scenario.maximumTTL / 8)
            }
        } else {
            let begun = world.now
            await lease.release()
            judge.released(holding, begun: begun, drift: scenario.drift)
        }
        judge.ended(holding)
    }

    /// Somebody who wants a lock and then does not.
    func giveUp(_ member: Member, _ client: SimulatedClient, _ wish: Wish, ttl: Int64? = nil) async {
        let ttl = ttl ?? someTTL(member)
        let options = options(ttl, wait: .forever, label: label(of: client), wish)
        // As likely before the question has arrived as after the answer was sent.
        let patience = world.number(in: 0...4 * scenario.delays.upperBound)
        let task = client.run { [self] in
            let highest = judge.highestTokens(of: wish.judgedNames)
            do {
                if wish.isShared {
                    let lease = try await client.redlock.acquire(wish.names[0], mode: .shared, options: options)
                    await use(lease, member, client, ttl, wish, after: highest, isForgotten: false)
                } else {
                    let lease = try await acquire(wish, client, options)
                    await use(lease, member, client, ttl, wish, after: highest, isForgotten: false)
                }
            } catch {
                note(error, client, wish)
            }
        }
        try? await client.process.sleep(nanoseconds: patience)
        task.cancel()
        await task.value
    }

    private func note(_ error: any Error, _ client: SimulatedClient, _ wish: Wish) {
        world.note(Int64(client.process.number), "process \(client.process.number) has no \(wish.text): \(error)")
    }
}

/// What one body does.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
private final class BodyPlan: @unchecked Sendable {
    let ttl: Int64
    let slotCount: Int?
    /// Whether it goes on when it is cancelled.
    let isStubborn: Bool
    let steps: Int
    /// The highest token of each resource before it was asked for.
    let highest: [String: Int64]
    let watch: Stopwatch
    /// Who had the lock, and when the body ended.
    var ended: (holding: Judge.Holding, at: Int64)?

    init(ttl: Int64, slotCount: Int?, isStubborn: Bool, steps: Int, highest: [String: Int64], watch: Stopwatch) {
        self.ttl = ttl
        self.slotCount = slotCount
        self.isStubborn = isStubborn
        self.steps = steps
        self.highest = highest
        self.watch = watch
    }
}

/// Measures a call that has a deadline.
private struct Stopwatch {
    private let process: SimulatedProcess
    private let begun: Int64
    private let runsSince: Int64
    private let deadline: Duration?
    private let hasEnded = Flag()

    init(_ process: SimulatedProcess, _ wait: WaitPolicy) {
        self.process = process
        begun = process.monotonicClock.read(at: process.world.now)
        runsSince = process.runsSince
        if case .atMost(let duration) = wait { deadline = duration } else { deadline = nil }
    }

    /// A call must end by its deadline, or 50 ms later; the first time it is asked counts.
    func judge(_ judge: Judge) {
        guard let deadline, !hasEnded.isSet, process.runsSince == runsSince else { return }
        hasEnded.isSet = true
        let elapsed = Duration.nanoseconds(process.monotonicClock.read(at: process.world.now) - begun)
        // Whoever waits is given one attempt at least, and that takes a node timeout.
        guard elapsed > max(deadline, .milliseconds(100)) + .milliseconds(50) else { return }
        judge.violated(.overdue, "a call with a deadline of \(deadline) took \(elapsed)")
    }
}
