// SPDX-License-Identifier: Apache-2.0

internal import Hiredis

/// The commands by which clients have scripts run.
extension SimulatedServer {
    /// SCRIPT LOAD.
    func load(_ words: Words) throws(CommandError) -> Reply {
        .text(try keep(words[2]).digest)
    }

    /// Keeps a script, with the mistake that scripts are given now.
    private func keep(_ text: UnsafeRawBufferPointer) throws(CommandError) -> CompiledScript {
        let script = try interpreter.script(text, with: defect)
        if scripts.contains(where: { $0 === script }) { return script }
        if let place = scripts.firstIndex(where: { $0.digest == script.digest }) {
            scripts[place] = script
        } else {
            scripts.append(script)
        }
        return script
    }

    /// EVAL and EVALSHA.
    func evaluate(_ words: Words, isWhole: Bool) throws(CommandError) -> RESPValue {
        let keyCount = try words.integer(2)
        guard keyCount <= words.count - 3 else { throw .tooManyKeys }
        guard keyCount >= 0 else { throw .negativeKeyCount }
        let script: CompiledScript
        if isWhole {
            script = try keep(words[1])
        } else {
            guard let known = scripts.first(where: { $0.isNamed(words[1]) }) else { throw .noScript }
            script = known
        }
        try admitScript()
        isInScript = true
        scriptHasWritten = false
        defer { isInScript = false }
        let keys = 3..<3 + Int(keyCount)
        guard failsNextWritingScript else { return try interpreter.run(script, words, keys: keys, on: self) }
        return try failing { () throws(CommandError) in
            try interpreter.run(script, words, keys: keys, on: self)
        }
    }
}

extension CommandError {
    fileprivate static let tooManyKeys = CommandError(text: "ERR Number of keys can't be greater than number of args")
    fileprivate static let negativeKeyCount = CommandError(text: "ERR Number of keys can't be negative")
}
