SELECT why
FROM sink_holes
WHERE topic = {topic:String} AND stage = {stage:String} AND partition = {partition:UInt32}
    AND from_seq <= {to:Int64} AND to_seq >= {from:Int64}
ORDER BY at DESC
LIMIT 1
