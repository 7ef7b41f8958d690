// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockSimulation
import RedlockTesting
import Testing

/// Mistakes are put into the texts of the real scripts.
struct ScriptDefectTests {
    @Test(arguments: ScriptDefect.all.map(\.name))
    func mistakeIsInTheTextOfARealScript(name: String) throws {
        let defect = try #require(ScriptDefect.all.first { $0.name == name })
        #expect(!defect.texts.isEmpty)
        for (right, wrong) in defect.texts {
            #expect(Script.all.contains { $0.text == right })
            #expect(wrong != right)
        }
    }

    @Test
    func namesAreUnlike() {
        #expect(Set(ScriptDefect.all.map(\.name)).count == ScriptDefect.all.count)
    }

    @Test
    func pieceThatIsNotThereOrNotTheOnlyOneIsAnError() throws {
        let patch = ScriptDefect.Patch(piece: "return 0", by: "return 1")
        #expect(try patch.applied(to: "x return 0 y") == "x return 1 y")
        for (text, count) in [("x return 2 y", 0), ("return 0 return 0", 2)] {
            let error = #expect(throws: ScriptDefect.Patch.PieceError.self) { try patch.applied(to: text) }
            #expect(error?.count == count)
        }
    }

    /// By which a node knows a script.
    @Test
    func digestsAreThoseOfTheTexts() {
        for script in Script.all { #expect(script.digest == SHA1.hexDigest(of: script.text)) }
        #expect(Set(Script.all.map(\.digest)).count == Script.all.count)
    }
}
