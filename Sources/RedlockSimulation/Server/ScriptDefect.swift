// SPDX-License-Identifier: Apache-2.0

package import Redlock

/// A mistake that the scripts of a ``SimulatedServer`` may be given, to see whether a test finds it.
///
/// It puts other text in place of pieces of the real scripts.
package struct ScriptDefect: Sendable {
    /// What is wrong.
    package let name: String
    /// The texts of the scripts that are wrong, as they should be and as they are.
    package let texts: [(right: String, wrong: String)]

    /// A mistake in some scripts.
    ///
    /// It is an error of the program if a script does not have a piece exactly once.
    fileprivate init(_ name: String, _ patches: Patch...) {
        self.name = name
        var texts: [(right: String, wrong: String)] = []
        for patch in patches {
            for script in patch.scripts {
                let place = texts.firstIndex { $0.right == script.text } ?? texts.endIndex
                if place == texts.endIndex { texts.append((script.text, script.text)) }
                do {
                    texts[place].wrong = try patch.applied(to: texts[place].wrong)
                } catch {
                    preconditionFailure("\(name): \(error)")
                }
            }
        }
        self.texts = texts
    }

    /// The text with the mistake; nil for one of a script that has none.
    func patched(_ text: String) -> String? {
        texts.first { $0.right == text }?.wrong
    }
}

extension ScriptDefect {
    /// Another text in place of a piece of some scripts.
    package struct Patch: Sendable {
        package struct PieceError: Error, Hashable, CustomStringConvertible {
            package let piece: String
            package let count: Int

            package var description: String { "a script has this \(count) times in place of once: \(piece)" }
        }

        fileprivate let scripts: [Script]
        private let piece: String
        private let replacement: String

        package init(_ scripts: Script..., piece: String, by replacement: String) {
            self.scripts = scripts
            self.piece = piece
            self.replacement = replacement
        }

        /// The text with the other in place of the piece.
        ///
        /// - Throws: `PieceError` unless the text has the piece exactly once.
        package func applied(to text: String) throws(PieceError) -> String {
            let places = text.ranges(of: piece)
            guard places.count == 1 else { throw PieceError(piece: piece, count: places.count) }
            return text.replacing(piece, with: replacement)
        }
    }
}

extension ScriptDefect {
    /// Every mistake, each alone.
    package static let all = [
        releaseDeletesForeignKey, extendRecreatesMissingKey, extendShortensLife, acquireIgnoresRecord,
        acquireDoesNotSeedLostCounter, acquireAnswersCounterWithoutRaising, acquireIgnoresHeldKey, raiseIgnoresOwner,
        raiseAnswersWithoutRaising, repairOverwritesForeignKey, repairDoesNotRaiseCounter, acquireSetsKeyWithoutTTL,
        enrolOverwritesForeignRecord, releaseWakesNobody, acquireIgnoresReaders, sharerIgnoresHeldKey,
        oneSharerReleasesAll, acquireAllLooksAtFirst, acquireAllRaisesHighestOnly, slotIgnoresHeldKey,
        slotIgnoresAgreement, setLifeIgnoresOwner,
    ]

    package static let releaseDeletesForeignKey = ScriptDefect(
        "release deletes a foreign key",
        Patch(.release, piece: "if redis.call('GET', KEYS[place]) == ARGV[1] then", by: "if true then"),
        Patch(.releasePlain, piece: "if redis.call('GET', KEYS[1]) == ARGV[1] then", by: "if true then")
    )

    package static let extendRecreatesMissingKey = ScriptDefect(
        "extend sets a missing key again",
        Patch(
            .extend,
            piece: "if not owner then worst = math.min(worst, -2) elseif",
            by: "if not owner then redis.call('SET', lock, ARGV[1], 'PX', ARGV[2]) elseif"
        ),
        Patch(.extendShared, piece: "if not ends then return -2 end", by: "ends = ends or 0"),
        Patch(.extendShared, piece: "if left <= 0 then return -2 end", by: "left = math.max(left, 0)")
    )

    package static let extendShortensLife = ScriptDefect(
        "extend shortens a life",
        Patch(.extend, piece: "if left < tonumber(ARGV[2]) then", by: "if true then")
    )

    package static let acquireIgnoresRecord = ScriptDefect(
        "acquire ignores the record",
        Patch(
            .acquire,
            .acquireInTurn,
            .acquireAll,
            .acquireShared,
            .acquireSlot,
            piece: "if not record or string.sub(record, 1, 16) ~= string.sub(ARGV[#ARGV], -16) then return 0 end",
            by: "if not record or not tonumber(string.sub(record, 18, 33)) then record = string.rep('0', 33) end"
        )
    )

    package static let acquireDoesNotSeedLostCounter = ScriptDefect(
        "acquire does not seed a lost counter",
        Patch(
            .acquire,
            .acquireInTurn,
            .acquireSlot,
            piece: "if last - reserve - string.sub(record, 18, 33) < 0 then",
            by: "if false then"
        )
    )

    /// The next grant has the same tokens.
    package static let acquireAnswersCounterWithoutRaising = ScriptDefect(
        "acquire does not raise the counter",
        Patch(
            .acquire,
            .acquireInTurn,
            piece: "redis.call('INCRBY', KEYS[3], reserve)",
            by: "tonumber(redis.call('GET', KEYS[3]) or '0')"
        ),
        Patch(
            .acquireSlot,
            piece: "redis.call('INCRBY', fence, reserve)",
            by: "tonumber(redis.call('GET', fence) or '0')"
        )
    )

    package static let acquireIgnoresHeldKey = ScriptDefect(
        "acquire ignores who holds the lock",
        Patch(
            .acquire,
            .acquireInTurn,
            piece: "if redis.call('EXISTS', KEYS[2], KEYS[4]) > 0 then",
            by: "if false then"
        )
    )

    package static let raiseIgnoresOwner = ScriptDefect(
        "raise does not ask who holds the lock",
        Patch(.raise, piece: "if redis.call('GET', KEYS[place]) ~= ARGV[1] then", by: "if false then")
    )

    package static let raiseAnswersWithoutRaising = ScriptDefect(
        "raise does not raise",
        Patch(.raise, piece: "for place = 2, #KEYS, 2 do", by: "for place = 2, 0, 2 do")
    )

    package static let repairOverwritesForeignKey = ScriptDefect(
        "repair takes the lock of another holder",
        Patch(
            .repair,
            piece: "if owner and owner ~= ARGV[1] or redis.call('EXISTS', KEYS[place + 2]) == 1 then",
            by: "if false then"
        ),
        Patch(.repair, piece: "if left == -2 then", by: "if true then"),
        Patch(.repairShared, piece: "if redis.call('EXISTS', KEYS[1]) == 1 then", by: "if false then")
    )

    package static let repairDoesNotRaiseCounter = ScriptDefect(
        "repair does not raise the counter",
        Patch(.repair, piece: "if counter < tonumber(ARGV[3]) then", by: "if false then")
    )

    package static let acquireSetsKeyWithoutTTL = ScriptDefect(
        "acquire sets a key without an end",
        Patch(
            .acquire,
            .acquireInTurn,
            piece: "redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])",
            by: "redis.call('SET', KEYS[2], ARGV[1])"
        )
    )

    package static let enrolOverwritesForeignRecord = ScriptDefect(
        "enrol replaces a record that was not read",
        Patch(.enrol, piece: "if current ~= ARGV[1] then", by: "if false then")
    )

    package static let releaseWakesNobody = ScriptDefect(
        "a release wakes no waiter",
        Patch(
            .acquireInTurn,
            .acquireSlot,
            .release,
            .releaseShared,
            .releaseSlot,
            .leaveQueue,
            .leaveQueueForSlot,
            piece: "local waiting = redis.pcall('ZRANGE', queue, 0, 3)",
            by: "local waiting = {}"
        )
    )

    package static let acquireIgnoresReaders = ScriptDefect(
        "acquire ignores those who share",
        Patch(.acquire, .acquireInTurn, piece: "'EXISTS', KEYS[2], KEYS[4]", by: "'EXISTS', KEYS[2]"),
        Patch(.acquireAll, piece: "'EXISTS', KEYS[place], KEYS[place + 2]", by: "'EXISTS', KEYS[place]")
    )

    package static let sharerIgnoresHeldKey = ScriptDefect(
        "a share is granted beside one that has the lock alone",
        Patch(.acquireShared, piece: "if redis.call('EXISTS', KEYS[2]) == 1 then", by: "if false then")
    )

    package static let oneSharerReleasesAll = ScriptDefect(
        "the release of one share ends all",
        Patch(
            .releaseShared,
            piece: "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)",
            by: "redis.call('DEL', KEYS[1])"
        )
    )

    package static let acquireAllLooksAtFirst = ScriptDefect(
        "of several locks only the first is looked at",
        Patch(
            .acquireAll,
            piece: "if redis.call('EXISTS', KEYS[place], KEYS[place + 2]) > 0 then",
            by: "if place == 2 and redis.call('EXISTS', KEYS[place], KEYS[place + 2]) > 0 then"
        )
    )

    package static let acquireAllRaisesHighestOnly = ScriptDefect(
        "of several counters only the highest is raised",
        Patch(
            .acquireAll,
            piece: "redis.call('SET', KEYS[place], string.format('%.0f', last), 'PX', string.format('%.0f', life))",
            by: ""
        )
    )

    package static let slotIgnoresHeldKey = ScriptDefect(
        "a slot is granted that is held",
        Patch(
            .acquireSlot,
            piece: "if not free then return",
            by: "if not free then free = '000' elseif false then return"
        )
    )

    package static let slotIgnoresAgreement = ScriptDefect(
        "a slot is granted whatever was agreed on",
        Patch(.acquireSlot, piece: "if agreed and agreed ~= limit", by: "if false and agreed ~= limit")
    )

    package static let setLifeIgnoresOwner = ScriptDefect(
        "the life of a lock is set for another client",
        Patch(.setLife, piece: "if redis.call('GET', lock) == ARGV[1] then", by: "if true then"),
        Patch(.setLifeShared, piece: "if not ends then return 0 end", by: "ends = ends or math.huge")
    )
}
