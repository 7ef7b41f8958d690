// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What a client does: it begins operations, hears answers, and follows the decisions of its rounds.
extension Model {
    // MARK: Beginnings

    func acquire(_ client: Int, _ world: inout World) -> Bool {
        let state = world.clients[client]
        // Who is releasing may try again meanwhile, and who lost a lease need not release it.
        let isFree = state.phase == .idle || state.phase == .releasing || (state.phase == .holding && !state.isHolder)
        guard isFree, world.ledger.attemptsLeft > 0, state.attempts < SmallWorld.attemptsPerClient else { return false }
        let voters = (0..<SmallWorld.nodeCount).filter { mayVote(client, $0, world) }
        guard voters.count >= rules.quorum.votesNeeded else { return false }
        world.ledger.attemptsLeft -= 1
        world.clients[client].becomeIdle()
        dropReplies(client, &world)
        world.clients[client].attempts += 1
        world.clients[client].phase = .acquiring
        world.clients[client].tokenBefore = world.ledger.highestGrantedToken
        world.clients[client].round = acquireRounds.begin(AcquireRound.NoBeginning())
        for node in 0..<SmallWorld.nodeCount {
            world.links[client][node].isDoubtful = false
            if voters.contains(node) {
                let admitted = world.links[client][node].knownGeneration
                send(.acquire, number: admitted, from: client, to: node, &world)
            } else {
                vote(.refused, by: node, client, &world)
            }
        }
        return true
    }

    /// Ends an attempt that nobody wants any more; the release goes behind whatever is still on its way.
    func giveUp(_ client: Int, _ world: inout World) -> Bool {
        guard world.clients[client].phase == .acquiring else { return false }
        noteKeys(client, &world)
        beginRelease(client, &world)
        return true
    }

    func extend(_ client: Int, _ world: inout World) -> Bool {
        guard world.clients[client].phase == .holding, world.clients[client].isHolder, world.ledger.extensionsLeft > 0
        else { return false }
        world.ledger.extensionsLeft -= 1
        world.clients[client].phase = .extending
        world.clients[client].extensions += 1
        world.clients[client].elapsedTicks = 0
        world.clients[client].round = extendRounds.begin(world.clients[client].validTicks)
        for node in 0..<SmallWorld.nodeCount {
            let link = world.links[client][node]
            if link.isCut || link.isSuspected {
                extended(.unknown, by: node, client, &world)
            } else {
                let number = world.clients[client].extensions
                send(.extend, number: number, isSpare: isTakenBack(node, client, world), from: client, to: node, &world)
            }
        }
        return true
    }

    func release(_ client: Int, _ world: inout World) -> Bool {
        let phase = world.clients[client].phase
        guard phase == .holding || phase == .extending else { return false }
        beginRelease(client, &world)
        return true
    }

    // MARK: Answers

    func receive(_ client: Int, _ node: Int, _ world: inout World) -> Bool {
        let link = world.links[client][node]
        guard link.reply != .none else { return false }
        world.links[client][node].dropReply()
        let isClockGood = !link.isFromJumpedClock || link.knowsJump || !seesJumps
        if !isClockGood { world.links[client][node].isSuspected = true }
        let isGood = isClockGood && !world.links[client][node].isSuspected
        switch world.clients[client].phase {
        case .acquiring:
            receiveVote(link, isGood: isGood, node, client, &world)
        case .extending:
            let answer: ExtendRound.Answer =
                switch link.reply {
                case .stillMine where isGood: .stillMine
                case .missing where isGood: .missing
                case .foreign where isGood: .foreign
                default: .unknown
                }
            extended(answer, by: node, client, &world)
        case .releasing:
            let answer: ReleaseRound.Answer =
                link.reply == .deleted ? .deleted : link.reply == .notHeld ? .notHeld : .unknown
            released(answer, by: node, client, &world)
        case .idle, .holding:
            preconditionFailure("nobody waits for an answer")
        }
        return true
    }

    private func receiveVote(_ link: Link, isGood: Bool, _ node: Int, _ client: Int, _ world: inout World) {
        switch link.reply {
        case .granted where isGood && !link.isDoubtful:
            vote(.granted(token: Int64(link.token)), by: node, client, &world)
            // Told of the others as well, a vote of one node is a quorum.
            if rules.defect == .oneVoteIsEnough {
                for other in 0..<SmallWorld.nodeCount where other != node && world.clients[client].phase == .acquiring {
                    vote(.granted(token: Int64(link.token)), by: other, client, &world)
                }
            }
        case .held where isGood: vote(.held, by: node, client, &world)
        case .refused where isGood: vote(.refused, by: node, client, &world)
        case .raised where isGood: raised(.raised, by: node, client, &world)
        case .gone where isGood: raised(.gone, by: node, client, &world)
        case .raised, .gone: raised(.unknown, by: node, client, &world)
        case .cut where acquireRounds[world.clients[client].round].granted.contains(node):
            raised(.unknown, by: node, client, &world)
        default:
            // A vote that is worth nothing is taken back at once, behind whatever the node still carries out.
            world.clients[client].takenBack |= 1 << node
            send(.release, from: client, to: node, &world)
            vote(.unknown, by: node, client, &world)
        }
    }

    // MARK: Rounds

    private func vote(_ answer: AcquireRound.Answer, by node: Int, _ client: Int, _ world: inout World) {
        follow(.vote(answer), by: node, client, &world)
    }

    private func raised(_ answer: AcquireRound.RaiseAnswer, by node: Int, _ client: Int, _ world: inout World) {
        follow(.raise(answer), by: node, client, &world)
    }

    private func follow(_ answer: AcquireRound.AnyAnswer, by node: Int, _ client: Int, _ world: inout World) {
        guard world.clients[client].phase == .acquiring else { return }
        let elapsedTicks = rules.defect == .validityFromTheAnswer ? 0 : world.clients[client].elapsedTicks
        let event = RoundEvent(answer: answer, node: node, elapsedTicks: elapsedTicks)
        let (round, step) = acquireRounds.take(event, by: world.clients[client].round)
        world.clients[client].round = round
        switch step {
        case nil: break
        case .raise(let nodes, let token):
            for node in nodes {
                if rules.defect == .noFencingConfirmation {
                    raised(.raised, by: node, client, &world)
                } else if world.links[client][node].isCut {
                    raised(.unknown, by: node, client, &world)
                } else {
                    send(.raise, number: Int(token), from: client, to: node, &world)
                }
            }
        case .end(.granted(let validUntil, let token)):
            noteKeys(client, &world)
            dropReplies(client, &world)
            world.clients[client].phase = .holding
            world.clients[client].round = 0
            world.clients[client].elapsedTicks = 0
            world.clients[client].validTicks = ModelRules.ticks(until: validUntil) - elapsedTicks
            world.clients[client].token = Int(token ?? 0)
            judgeGrant(client, &world)
            world.clients[client].tokenBefore = 0
        case .end(.failed):
            noteKeys(client, &world)
            beginRelease(client, &world)
        }
    }

    private func extended(_ answer: ExtendRound.Answer, by node: Int, _ client: Int, _ world: inout World) {
        guard world.clients[client].phase == .extending else { return }
        let elapsedTicks = rules.defect == .extensionFromTheAnswer ? 0 : world.clients[client].elapsedTicks
        let event = RoundEvent(answer: answer, node: node, elapsedTicks: elapsedTicks)
        let (round, decision) = extendRounds.take(event, by: world.clients[client].round)
        world.clients[client].round = round
        guard let decision else { return }
        dropReplies(client, &world)
        world.clients[client].phase = .holding
        world.clients[client].round = 0
        world.clients[client].elapsedTicks = 0
        switch decision {
        case .extended(let validUntil):
            world.clients[client].validTicks = ModelRules.ticks(until: validUntil) - elapsedTicks
            for node in extendRounds[round].missing { repair(node, client, &world) }
            judgeExclusion(&world)
        case .lost, .tooLate: loseLease(client, &world)
        case .inconclusive: break
        }
    }

    /// Sets the key again on a node that lost it; under the spare token where a release of the first one is on its way.
    private func repair(_ node: Int, _ client: Int, _ world: inout World) {
        let isSpare = isTakenBack(node, client, world)
        world.clients[client].repaired |= 1 << node
        send(.repair, number: world.clients[client].token, isSpare: isSpare, from: client, to: node, &world)
    }

    private func released(_ answer: ReleaseRound.Answer, by node: Int, _ client: Int, _ world: inout World) {
        guard world.clients[client].phase == .releasing else { return }
        let event = RoundEvent(answer: answer, node: node, elapsedTicks: 0)
        let (round, decision) = releaseRounds.take(event, by: world.clients[client].round)
        world.clients[client].round = round
        if let decision { endRelease(decision, client, &world) }
    }

    private func endRelease(_ decision: ReleaseRound.Decision, _ client: Int, _ world: inout World) {
        if case .released = decision { judgeRelease(client, &world) }
        world.clients[client].becomeIdle()
        dropReplies(client, &world)
    }

    // MARK: Ends

    /// Notes which nodes need a release when the lease ends.
    private func noteKeys(_ client: Int, _ world: inout World) {
        let mayHoldKey = acquireRounds[world.clients[client].round].mayHoldKey.modelBits
        world.clients[client].keys = mayHoldKey & ~world.clients[client].takenBack
    }

    /// The holder may not count on its lease any more; what it set is still there.
    func loseLease(_ client: Int, _ world: inout World) {
        dropReplies(client, &world)
        world.clients[client].phase = .holding
        world.clients[client].validTicks = 0
        world.clients[client].token = 0
        world.clients[client].round = 0
        world.clients[client].elapsedTicks = 0
        world.clients[client].extensions = 0
    }

    private func beginRelease(_ client: Int, _ world: inout World) {
        let state = world.clients[client]
        let asked = (state.keys | state.repaired) & ~state.takenBack
        world.clients[client].becomeIdle()
        dropReplies(client, &world)
        world.clients[client].phase = .releasing
        world.clients[client].keys = asked
        world.clients[client].round = releaseRounds.begin(NodeSet(modelBits: asked))
        if let decision = releaseRounds[world.clients[client].round].decision {
            return endRelease(decision, client, &world)
        }
        for node in 0..<SmallWorld.nodeCount {
            if (state.repaired & state.takenBack) >> node & 1 == 1 {
                send(.release, isSpare: true, from: client, to: node, &world)
            }
            if asked >> node & 1 == 1 { send(.release, from: client, to: node, &world) }
        }
        for node in 0..<SmallWorld.nodeCount where asked >> node & 1 == 1 && world.links[client][node].isCut {
            released(.unknown, by: node, client, &world)
        }
    }

    private func isTakenBack(_ node: Int, _ client: Int, _ world: World) -> Bool {
        world.clients[client].takenBack >> node & 1 == 1
    }

    private func dropReplies(_ client: Int, _ world: inout World) {
        for node in 0..<SmallWorld.nodeCount {
            world.links[client][node].dropReply()
            world.links[client][node].isDoubtful = false
        }
    }

    private func send(
        _ kind: Command.Kind,
        number: Int = 0,
        isSpare: Bool = false,
        from client: Int,
        to node: Int,
        _ world: inout World
    ) {
        guard !world.links[client][node].isCut else { return }
        let attempt = world.clients[client].attempt
        world.commands[client][node].append(Command(kind, attempt: attempt, isSpare: isSpare, number: number))
    }
}
