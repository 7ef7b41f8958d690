// SPDX-License-Identifier: Apache-2.0

/// What lies between one process and one node, in both directions.
package final class SimulatedRoute {
    package enum Direction {
        case toNode
        case toProcess
    }

    package let world: SimulatedWorld
    /// The least and the most that one way takes, in nanoseconds.
    package var delays: ClosedRange<Int64>
    /// In how many of a thousand cases it takes a hundred times as long.
    package var slowPerMille = 0
    /// In how many of a thousand answers there is one too many, or they break off.
    package var garbledPerMille = 0

    private var stalledToNode = false
    private var stalledToProcess = false
    private var waitingToNode: [() -> Void] = []
    private var waitingToProcess: [() -> Void] = []

    /// A way that takes so long.
    package init(world: SimulatedWorld, delays: ClosedRange<Int64>) {
        self.world = world
        self.delays = delays
    }

    /// How long something takes now.
    func delay() -> Int64 {
        let delay = world.number(in: delays)
        return slowPerMille > 0 && world.happens(perMille: slowPerMille) ? delay * 100 : delay
    }

    /// Whether what has come all the way is handed on now; if not, it is to wait.
    func isOpen(_ direction: Direction) -> Bool {
        switch direction {
        case .toNode: !stalledToNode
        case .toProcess: !stalledToProcess
        }
    }

    /// Hands something on as soon as the way is no longer stalled.
    func wait(_ direction: Direction, _ work: @escaping () -> Void) {
        switch direction {
        case .toNode: waitingToNode.append(work)
        case .toProcess: waitingToProcess.append(work)
        }
    }

    /// Hands something on that has come all the way, unless the way is stalled; then it waits.
    func pass(_ direction: Direction, _ work: @escaping () -> Void) {
        if isOpen(direction) { work() } else { wait(direction, work) }
    }

    /// Lets nothing through any more, in the directions given; nothing is lost, as TCP sends it again.
    package func stall(_ directions: [Direction]) {
        for direction in directions {
            switch direction {
            case .toNode: stalledToNode = true
            case .toProcess: stalledToProcess = true
            }
        }
    }

    /// Lets everything through again, what waits first and in the order in which it came.
    package func heal() {
        stalledToNode = false
        stalledToProcess = false
        let waiting = waitingToNode + waitingToProcess
        waitingToNode = []
        waitingToProcess = []
        for work in waiting { work() }
    }
}
