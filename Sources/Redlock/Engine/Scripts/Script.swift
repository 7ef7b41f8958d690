// SPDX-License-Identifier: Apache-2.0

/// A script that runs on the nodes, and the digest by which a node knows it.
package struct Script: Sendable {
    package let text: String
    /// SHA-1 of the text, in hexadecimal digits.
    package let digest: String

    /// The scripts of the standard profile that a node is given with every connection; the others are sent whole where they
    /// are missing.
    package static let standard = [acquire, raise, extend, repair, release, read]

    /// The scripts of the compatible profile.
    package static let compatible = [extend, releasePlain, readPlain, setLife, probe]

    /// Every script there is.
    package static let all = [
        acquire, acquireInTurn, acquireAll, acquireShared, acquireSlot, raise, extend, extendShared, repair,
        repairShared, setLife, setLifeShared, release, releaseShared, releaseSlot, releasePlain, enqueue, enqueueShared,
        enqueueForSlot, leaveQueue, leaveQueueForSlot, read, readPlain, enrol, replaceRecord, removeForeign,
        raiseByHand,
        probe,
    ]

    /// Does nothing: shows whether scripts run.
    package static let probe = Script(text: "return 1", digest: "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
}

/// What more than one script says.
///
/// A node makes a text of Lua of every argument, which takes it as long as a third of a call, and longer to declare a function:
/// what is always the same stands in the scripts, what is seldom needed comes together in one argument, and functions are
/// declared where they are called.
extension Script {
    /// How many tokens one grant takes, unless the client asks for another number.
    package static let tokensPerGrant = 16

    /// How long a counter lives that nobody raises, in milliseconds.
    package static let counterLifeMilliseconds = 604_800_000

    /// Tells the time of the node, in milliseconds, in `now`.
    static let clock = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        """

    /// What is answered where a lock is held for another `left` milliseconds: -1 - n, for ever if n is 2^53 - 2.
    static let refusal = "left < 0 and -9007199254740991 or -1 - left"
}
