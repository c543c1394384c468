$s3 = new S3Client(['credentials' => [
    'key'    => '{{akia}}',
    'secret' => '{{secret}}',
]]);
