// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Finds the programs of this package that were built with the tests.
package enum BuiltProgram {
    /// The path of a program: it stands beside the test bundle, or above it.
    package static func path(_ name: String) -> String {
        let arguments = CommandLine.arguments
        var bundles = [arguments[0]]
        if let index = arguments.firstIndex(of: "--test-bundle-path"), index + 1 < arguments.count {
            bundles.append(arguments[index + 1])
        }
        for bundle in bundles {
            var folder = URL(fileURLWithPath: bundle).resolvingSymlinksInPath()
            while folder.path != "/" {
                folder.deleteLastPathComponent()
                let candidate = folder.appendingPathComponent(name).path
                var isDirectory: ObjCBool = false
                if FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory), !isDirectory.boolValue
                {
                    return candidate
                }
            }
        }
        return name
    }
}
