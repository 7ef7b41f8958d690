// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockTesting
import Testing

/// What the simulated server does beyond answering commands, which is compared with a real server.
struct SimulatedServerTests {
    private let server = Driven()

    @Test
    func lockEndsByTheServersClock() {
        server.enrol()
        let token = server.acquire(by: "a")
        #expect(token > 0)
        #expect(server.acquire(by: "b") == -1 - 10_000)
        server.clock.microseconds += 10_000_000
        #expect(server.acquire(by: "b") == -1)
        server.clock.microseconds += 1_000
        #expect(server.acquire(by: "b") == token + 1)
        #expect(server.release(by: "a") == 0)
        #expect(server.release(by: "b") == 1)
    }
}
