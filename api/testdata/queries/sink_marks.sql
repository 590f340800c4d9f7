SELECT partition, max(next_offset)
FROM sink_marks
WHERE topic = {topic:String}
GROUP BY partition
